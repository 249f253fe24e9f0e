"""The users of a segment, in bulk: querysets, sizes, pages of members, and the impact of a change.

In: a segment, saved or not, as a key or a definition. Out: users and numbers. SQL decides where it
can, and Python for the other users; both give the same answer.
`impact_of(unsaved_segment("paying", rules))` gives whom an unsaved change moves:

>>> ada = SampleUser(key="9d1c0000-0000-4000-8000-000000000001", title="ada@example.com", name="Ada")
>>> impact = Impact(
...     key="paying",
...     users=Part(at_least=5000, is_exact=True),
...     matching=Part(at_least=1200, is_exact=True),
...     entering=Part(at_least=120, is_exact=True, samples=(ada,)),
...     leaving=Part(at_least=3, is_exact=True),
... )
>>> impact.moved
Moved(entering=120, leaving=3, at_least=False)

`User.objects.in_segment("paying")` comes from here too. `audience.sql` compiles rules to SQL.
"""

from __future__ import annotations

from featureflags.audience.attribute_values import Suggestion, suggestions
from featureflags.audience.estimates import preview_of
from featureflags.audience.explain_sql import ClauseCost, clause_costs
from featureflags.audience.impact import impact_of
from featureflags.audience.intervals import Estimate
from featureflags.audience.lint import Lint, lint_segment
from featureflags.audience.member_pages import AudienceFilter, How, Member, SegmentAudience
from featureflags.audience.overlaps import (
    NotComparable,
    Overlap,
    Place,
    combination,
    overlap_of,
    places,
)
from featureflags.audience.parts import Impact, Part, SampleUser
from featureflags.audience.sets import made_of, with_segments
from featureflags.audience.sizes import SegmentSize, segment_sizes
from featureflags.audience.stored_sizes import (
    KEPT_DAYS,
    count_changed,
    count_everything,
    daily_counts,
    forget_segment,
)
from featureflags.audience.transitions import Transition, next_transitions
from featureflags.audience.unsaved import unsaved_segment

__all__ = [
    "KEPT_DAYS",
    "AudienceFilter",
    "ClauseCost",
    "Estimate",
    "How",
    "Impact",
    "Lint",
    "Member",
    "NotComparable",
    "Overlap",
    "Part",
    "Place",
    "SampleUser",
    "SegmentAudience",
    "SegmentSize",
    "Suggestion",
    "Transition",
    "clause_costs",
    "combination",
    "count_changed",
    "count_everything",
    "daily_counts",
    "forget_segment",
    "impact_of",
    "lint_segment",
    "made_of",
    "next_transitions",
    "overlap_of",
    "places",
    "preview_of",
    "segment_sizes",
    "stored_sizes",
    "suggestions",
    "unsaved_segment",
    "with_segments",
]
