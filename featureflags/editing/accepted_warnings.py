"""Warnings of a segment's rules, until somebody accepts them with a note, which the history keeps.

An accepted rule is not warned of again while its conditions stay the same. The entry in the history
holds the segment as it was, before and after, so that no table of its own is needed.

Hidden SQL: one query, where there are warnings.
"""

from __future__ import annotations

from typing import Final

from featureflags.core.types import Account
from featureflags.editing.about import dump_state, load_state
from featureflags.models import HistoryEntry, Segment
from featureflags.segments.definitions import Clause, Problem
from featureflags.segments.parsing import load_rules

ACCEPTED: Final = "accepted"
"""The source of such an entry."""


def open_warnings(segment: Segment) -> list[Problem]:
    """The warnings of the segment's rules that nobody has accepted."""
    checked = segment.stored_rules().checked
    found = checked.warnings()
    if not found:
        return []
    accepted = _accepted_rules(segment.key)
    return [
        warning
        for warning in found
        if warning.rule and checked.rules[warning.rule - 1].clauses not in accepted
    ]


def accept_warnings(segment: Segment, *, note: str, by: Account) -> HistoryEntry | None:
    """Accept the open warnings of a stored segment; None if there are none."""
    if not open_warnings(segment):
        return None
    state = dump_state(segment.as_state())
    return HistoryEntry.objects.create(
        segment_key=segment.key,
        kind=HistoryEntry.Kind.CHANGED,
        version=segment.version,
        actor=by,
        source=ACCEPTED,
        note=note,
        before=state,
        after=state,
        entering=0,
        leaving=0,
    )


def _accepted_rules(key: str) -> list[tuple[Clause, ...]]:
    entries = HistoryEntry.objects.filter(segment_key=key, source=ACCEPTED)
    return [
        rule.clauses
        for after in entries.values_list("after", flat=True)
        if after is not None
        for state in [load_state(after)]
        for rule in load_rules(state.rules, state.kind)[0]
    ]
