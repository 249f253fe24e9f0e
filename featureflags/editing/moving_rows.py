"""The rows that a change moves, or may move: all of them, or a sample, within a time limit.

Hidden SQL: one statement for each batch of rows, or for each part of the sample of the day.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.db.models import QuerySet

from featureflags.audience.comparison import Comparison
from featureflags.audience.day_sample import day_sample
from featureflags.audience.querysets import batches
from featureflags.audience.sql.bounds import any_of, to_q
from featureflags.audience.sql.operands import Inline
from featureflags.audience.sql.statement_timeout import TimeLimit
from featureflags.editing.changes import Change
from featureflags.editing.examining import Examination
from featureflags.kinds.compiled import CompiledKind

MOST_ROWS: Final = 2_000
"""Rows whose values are asked for; of more who move, a sample."""
WINDOW: Final = 100
"""Rows that are asked about at once, and members that are read at once."""


def moving_rows(one: Examination, comparison: Comparison, limit: TimeLimit) -> Iterator[Any]:
    """Rows that can move, each once. Raises TimeIsUp."""
    kind = comparison.kind
    if not one.change.moves_by_rules:
        yield from _named(one.change, kind, limit)
        return
    sure = comparison.conditions(Inline())
    can_move = to_q(any_of([sure.entering, sure.leaving, sure.in_doubt]))
    if asks_everybody(one):
        found = batches(kind.rows().filter(can_move), kind)
        while True:
            with limit.statements():
                batch = next(found, None)
            if batch is None:
                return
            yield from batch
    yield from sampled(kind.rows().filter(can_move), kind, limit)


def sampled(rows: QuerySet[Any], kind: CompiledKind, limit: TimeLimit) -> Iterator[Any]:
    """Those of these rows that are in the sample of the day; without one, those with the smallest keys.

    Raises TimeIsUp.
    """
    sample = day_sample(kind)
    parts = [rows.order_by(kind.key)]
    if sample is not None:
        parts = [rows.filter(sample.has(part)).order_by() for part in sample.parts]
    for each in parts:
        with limit.statements():
            found = kind.snapshots(each[:MOST_ROWS])
        yield from found


def asks_everybody(one: Examination) -> bool:
    """True if there are few enough of them."""
    if not one.change.moves_by_rules:
        return len(one.change.members) <= MOST_ROWS
    return one.impact.is_exact and one.moved.count <= MOST_ROWS


def _named(change: Change, kind: CompiledKind, limit: TimeLimit) -> Iterator[Any]:
    keys = [str(key) for key, one in change.members.items() if one.moves]
    for start in range(0, min(len(keys), MOST_ROWS), WINDOW):
        with limit.statements():
            found = kind.snapshots_by_key(keys[start : start + WINDOW])
        yield from found.values()
