"""From a user's snapshot to a valid LaunchDarkly context.

In: a `Snapshot`, the compiled segments, an instant in µs. Out: a `SubjectContext`: the SDK's context
with the attributes that may be sent, the keys of the user's segments, and until when it holds.
`attributes` has the catalogue of attributes, `privacy` decides what leaves, `json_limits` what is
valid, `building` makes the context, `results` is what an evaluation answers.

>>> from featureflags.contexts.building import row_context
>>> from featureflags.contexts.results import ContextSource
>>> from featureflags.segments.parsing import parse_definition
>>> from featureflags.segments.ruleset import Ruleset
>>> from featureflags.kinds.registry import user_kind
>>> staff = parse_definition({
...     "key": "staff",
...     "rules": [{"clauses": [{"attribute": "role", "op": "in", "values": ["admin"]}]}],
... })
>>> ada = user_kind().snapshot_type(
...     key="6d0c6b9e-0000-4000-8000-000000000001", email="ada@example.com", email_verified=True,
...     name="Ada", role="admin", is_staff=True, created_at=0, last_seen_at=None,
...     groups=("engineers",), metadata={"plan": "pro"},
... )
>>> found = row_context(ada, Ruleset([staff]), 86_400_000_000, source=ContextSource.CACHE)
>>> found.segments
('staff',)
>>> shown = found.to_dict()
>>> shown["attributes"]["custom_plan"], shown["attributes"]["account_age_days"]
('pro', 1)
>>> shown["private_attributes"]
['email', 'name']
>>> shown["valid_until"]
'1970-01-03T00:00:00Z'
"""

from __future__ import annotations

__all__ = [
    "attributes",
    "building",
    "json_limits",
    "new_visitors",
    "privacy",
    "results",
    "subject_context",
]
