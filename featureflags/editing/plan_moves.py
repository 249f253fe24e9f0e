"""What scheduled changes will do to one user, or to a row of another kind: in “what changes next”.

Hidden SQL: one query for the changes, and up to four for each of the first `MOST`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from featureflags.contexts.attributes import attributes_of
from featureflags.core.times import to_microseconds
from featureflags.editing.changes import Change, stored_members
from featureflags.editing.documents import document_of
from featureflags.editing.plan_documents import NotPossible, on_what_is_stored
from featureflags.editing.plans import wanted_by
from featureflags.models import PlannedChange
from featureflags.segments.definitions import SegmentDefinition
from featureflags.segments.ruleset import Ruleset

MOST: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMove:
    """What one scheduled change does to a user."""

    plan: int
    segment: str
    at: int
    """µs since the epoch."""
    entering: tuple[str, ...]
    leaving: tuple[str, ...]
    ruleset: Ruleset
    """As it will be."""


def planned_moves(ruleset: Ruleset, snapshot: Any, *, now: int) -> Iterator[PlannedMove]:
    """Those of the next scheduled changes that move this user, as things are now; the first due first."""
    due = PlannedChange.objects.filter(state=PlannedChange.State.SCHEDULED, due_at__isnull=False)
    for plan in due.order_by("due_at", "pk")[:MOST]:
        at = max(now, to_microseconds(plan.due_at) if plan.due_at else now)
        try:
            later = _with(ruleset, on_what_is_stored(wanted_by(plan)))
        except NotPossible:
            continue
        attributes = attributes_of(snapshot, at)
        before, after = (
            each.match(attributes, now=at, kind=snapshot.kind) for each in (ruleset, later)
        )
        if before != after:
            yield PlannedMove(
                plan=plan.pk,
                segment=plan.segment_key,
                at=at,
                entering=tuple(sorted(after - before)),
                leaving=tuple(sorted(before - after)),
                ruleset=later,
            )


def _with(ruleset: Ruleset, change: Change) -> Ruleset:
    """The rules after a change."""
    definitions = {**ruleset.definitions}
    if change.after is None:
        definitions[change.key] = SegmentDefinition(key=change.key, kind=change.state.kind)
    else:
        members = {**stored_members(change.key)}
        for row, one in change.members.items():
            members.pop(str(row), None)
            if one.after is not None:
                members[str(row)] = one.after
        definitions[change.key] = document_of(change.after, members).in_force
    return ruleset.evolve(definitions.values(), version=ruleset.version)
