"""What the users who enter or leave a segment get of each flag that uses it, before a change and after.

The real SDK answers, with the rules as they are and as they would be. Only those who move are asked about:
for anybody else nothing changes. All of them up to `MOST_ROWS`, else a random sample, within a time limit.
No events are sent. A row is asked about with the row that it belongs to, such as the organization of a user. And
where organizations move, their users are asked about too: a flag is served to a user with their organization.

Hidden SQL: one statement for each batch of rows, or for each part of the sample of the day; for each `WINDOW` of
those who move one for each kind of rows that they belong to; and up to six for each kind that belongs to them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Final

from featureflags.audience.comparison import Comparison
from featureflags.audience.parts import SampleUser
from featureflags.audience.sets import with_segments
from featureflags.audience.sql.statement_timeout import TimeIsUp, TimeLimit
from featureflags.cache.compiled_rules import known_ruleset
from featureflags.contexts.subject_context import SubjectContext
from featureflags.core.times import now_in_microseconds
from featureflags.editing.effects import FlagEffect, FlagEffects, ValueChange
from featureflags.editing.examining import Examination
from featureflags.editing.moved_users import definitions_of
from featureflags.editing.moving_rows import (
    MOST_ROWS,
    WINDOW,
    asks_everybody,
    moving_rows,
    sampled,
)
from featureflags.evaluation.arguments import UNSET
from featureflags.evaluation.evaluate import evaluate_one
from featureflags.evaluation.whole_contexts import whole_contexts
from featureflags.kinds.belonging import kinds_below, rows_below
from featureflags.kinds.compiled import CompiledKind
from featureflags.launchdarkly.client import looking
from featureflags.segments.formatting import show

MOST_FLAGS: Final = 20
SECONDS: Final = 2.0
"""For the rows that move, and those that belong to them."""
EXAMPLES: Final = 3


def flag_effects(
    one: Examination, *, sees: Collection[str] = (), seconds: float = SECONDS
) -> FlagEffects | None:
    """What those who move get of each flag. None: no flag uses the segment, or nobody moves.

    `sees`: kinds of whose rows the reader may see examples.
    """
    if not one.flags or not one.change.moves_users:
        return None
    if one.impact.is_exact and not one.moved.count:
        return None
    before, after = definitions_of(one.change)
    comparison = Comparison.with_definition(
        after, before=with_segments(known_ruleset().ruleset, before), now=None
    )
    kind, flags = comparison.kind, one.flags[:MOST_FLAGS]
    below = kinds_below(kind)
    seconds /= 1 + len(below)
    asked = _Asked(comparison, kind, flags, with_people=kind.name in sees)
    limit = TimeLimit(kind.rows().db, seconds)
    with looking():
        is_all = asked.of(moving_rows(one, comparison, limit), limit) and asks_everybody(one)
        if not asked.number:
            return None
        found = asked.effects(is_all=is_all)
        known, parts = {kind.name: (asked, is_all)}, list[FlagEffects]()
        for above, each in below:
            moved, was_all = known[above.name]
            belonging = _Asked(comparison, each, flags, with_people=each.name in sees)
            is_all = belonging.of_belonging(moved, seconds) and was_all
            known[each.name] = (belonging, is_all)
            parts.append(belonging.effects(is_all=is_all, above=above.name))
    return replace(
        found,
        left_out=max(0, len(one.flags) - MOST_FLAGS),
        belonging=tuple(each for each in parts if each.asked),
    )


class _Asked:
    """The values that were asked for so far."""

    def __init__(
        self, comparison: Comparison, kind: CompiledKind, flags: Sequence[str], *, with_people: bool
    ) -> None:
        """`kind`: that of the rows; of another one than the segment's, all of them are asked about."""
        self.comparison = comparison
        self.kind = kind
        self.keys: list[str] = []
        self._judges = kind is comparison.kind
        self._with_people = with_people
        self._found: dict[str, dict[tuple[str, str], list[Any]]] = {flag: {} for flag in flags}
        self._counts: dict[tuple[str, str, str], int] = {}
        self._now = now_in_microseconds()
        self.number = 0

    def of(self, rows: Iterator[Any], limit: TimeLimit) -> bool:
        """Ask about these rows. False: the time was up, or there are more than `MOST_ROWS`."""
        moving: list[Any] = []
        is_all = True
        try:
            for row in rows:
                if limit.is_over() or self.number + len(moving) >= MOST_ROWS:
                    is_all = False
                    break
                if self._is_asked(row):
                    moving.append(row)
                if len(moving) == WINDOW:
                    self._add(moving, limit)
                    moving = []
            self._add(moving, limit)
        except TimeIsUp:
            return False
        return is_all

    def of_belonging(self, moved: _Asked, seconds: float) -> bool:
        """Ask about rows that belong to those. False: not about all of them."""
        limit = TimeLimit(self.kind.rows().db, seconds)
        rows = rows_below(self.kind, moved.kind, moved.keys)
        try:
            with limit.statements():
                found = self.kind.snapshots(rows.order_by()[: MOST_ROWS + 1])
        except TimeIsUp:
            return False
        if len(found) <= MOST_ROWS:
            return self.of(iter(found), limit)
        self.of(sampled(rows, self.kind, limit), limit)
        return False

    def effects(self, *, is_all: bool, above: str = "") -> FlagEffects:
        """What was found. `above`: the kind of the rows that move, where these only belong to them."""
        return FlagEffects(
            kind=self.kind.name, above=above, flags=self._flags(), asked=self.number, is_all=is_all
        )

    def _is_asked(self, row: Any) -> bool:
        if not self._judges:
            return True
        was_in, is_in = self.comparison.judge(row)
        return was_in != is_in

    def _flags(self) -> tuple[FlagEffect, ...]:
        return tuple(
            FlagEffect(
                flag=flag,
                changes=tuple(
                    ValueChange(
                        before=before,
                        after=after,
                        count=self._counts[flag, before, after],
                        people=tuple(self._sample(row) for row in some),
                    )
                    for (before, after), some in sorted(
                        found.items(), key=lambda each: (-self._counts[flag, *each[0]], each[0])
                    )
                ),
                unchanged=self.number - sum(self._counts[flag, *values] for values in found),
            )
            for flag, found in self._found.items()
        )

    def _add(self, rows: Sequence[Any], limit: TimeLimit) -> None:
        """Raises TimeIsUp: none of them is counted then."""
        before, after = self.comparison.before, self.comparison.after
        with limit.statements() if self.kind.related else nullcontext():
            contexts = whole_contexts(rows, before, after, now=self._now)
        for row, pair in zip(rows, contexts, strict=True):
            self._count(row, pair)
        self.keys += [row.key for row in rows]

    def _count(self, row: Any, pair: Sequence[SubjectContext]) -> None:
        self.number += 1
        for flag, found in self._found.items():
            old, new = (show(evaluate_one(flag, each, UNSET, None).value) for each in pair)
            if old == new:
                continue
            some = found.setdefault((old, new), [])
            place = (flag, old, new)
            self._counts[place] = self._counts.get(place, 0) + 1
            if self._with_people and len(some) < EXAMPLES:
                some.append(row)

    def _sample(self, row: Any) -> SampleUser:
        kind = self.kind
        return SampleUser(key=row.key, title=kind.title_of(row), name=kind.label_of(row))
