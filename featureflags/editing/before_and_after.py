"""What the users who enter or leave a segment get of each flag that uses it, before a change and after.

The real SDK answers, with the rules as they are and as they would be. Only those who move are asked about:
for anybody else nothing changes. All of them up to `MOST_ROWS`, else a random sample, within a time limit.
No events are sent. A row is asked about with the rows that belong to it, such as the organization of a user.

Hidden SQL: one statement for each batch of rows, or for each part of the sample of the day; and for each `WINDOW`
of those who move one for each kind of rows that belong to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from featureflags.audience.comparison import Comparison
from featureflags.audience.day_sample import day_sample
from featureflags.audience.parts import SampleUser
from featureflags.audience.querysets import batches
from featureflags.audience.sets import with_segments
from featureflags.audience.sql.bounds import any_of, to_q
from featureflags.audience.sql.operands import Inline
from featureflags.audience.sql.statement_timeout import TimeIsUp, TimeLimit
from featureflags.cache.compiled_rules import current_ruleset
from featureflags.contexts.subject_context import SubjectContext
from featureflags.core.times import now_in_microseconds
from featureflags.core.types import JSONValue
from featureflags.editing.changes import Change
from featureflags.editing.examining import Examination
from featureflags.editing.moved_users import definitions_of
from featureflags.evaluation.arguments import UNSET
from featureflags.evaluation.evaluate import evaluate_one
from featureflags.evaluation.whole_contexts import whole_contexts
from featureflags.kinds.compiled import CompiledKind
from featureflags.launchdarkly.client import looking
from featureflags.segments.formatting import show

MOST_ROWS: Final = 2_000
"""Rows whose values are asked for; of more who move, a sample."""
MOST_FLAGS: Final = 20
SECONDS: Final = 2.0
WINDOW: Final = 100
"""Rows that are asked about at once, and members that are read at once."""
EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueChange:
    """Rows that get one value before, and another one after."""

    before: str
    after: str
    count: int
    people: tuple[SampleUser, ...]

    @property
    def more(self) -> str:
        """How many there are beside the examples."""
        left = self.count - len(self.people)
        return _("and %s more") % f"{left:,}" if self.people and left > 0 else ""

    def to_dict(self) -> dict[str, JSONValue]:
        return {"before": self.before, "after": self.after, "count": self.count}


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagEffect:
    """What changes of one flag, the most frequent first."""

    flag: str
    changes: tuple[ValueChange, ...]
    unchanged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagEffects:
    """What changes of each flag for the rows that were asked about."""

    flags: tuple[FlagEffect, ...]
    asked: int
    """How many rows the numbers are about."""
    is_all: bool
    """False: they are a sample, or the time was up."""
    left_out: int = 0
    """Flags that were not asked for."""

    @property
    def words(self) -> str:
        """What the numbers are about."""
        if self.is_all:
            text = ngettext(
                "The one who moves was asked about.",
                "All %s who move were asked about.",
                self.asked,
            )
            text = text if self.asked == 1 else text % f"{self.asked:,}"
        else:
            text = _("A sample of those who move: %s of them. The numbers are of the sample.")
            text %= f"{self.asked:,}"
        if self.left_out:
            text += " " + _("%d more flags were left out.") % self.left_out
        return text

    @property
    def lines(self) -> list[str]:
        """For a terminal: each flag with what changes, and what the numbers are about."""
        changes = [
            f"{each.flag}: {change.before} → {change.after}: {change.count:,}"
            for each in self.flags
            for change in each.changes
        ]
        return [*changes, self.words] if changes else []

    def to_dict(self) -> dict[str, JSONValue]:
        flags: list[JSONValue] = [
            {
                "flag": each.flag,
                "changes": [change.to_dict() for change in each.changes],
                "unchanged": each.unchanged,
            }
            for each in self.flags
        ]
        return {"asked": self.asked, "all": self.is_all, "flags": flags}


def flag_effects(
    one: Examination, *, with_people: bool = False, seconds: float = SECONDS
) -> FlagEffects | None:
    """What those who move get of each flag. None: no flag uses the segment, or nobody moves.

    `with_people`: with examples, which the reader must be allowed to see.
    """
    if not one.flags or not one.change.moves_users:
        return None
    if one.impact.is_exact and not one.moved.count:
        return None
    before, after = definitions_of(one.change)
    comparison = Comparison.with_definition(
        after, before=with_segments(current_ruleset().ruleset, before), now=None
    )
    asked = _Asked(comparison, one.flags[:MOST_FLAGS], with_people=with_people)
    limit = TimeLimit(comparison.kind.rows().db, seconds)
    with looking():
        is_all = asked.of(_moving(one, comparison, limit), limit)
    if not asked.number:
        return None
    return FlagEffects(
        flags=asked.flags(),
        asked=asked.number,
        is_all=is_all and _asks_everybody(one),
        left_out=max(0, len(one.flags) - MOST_FLAGS),
    )


def _moving(one: Examination, comparison: Comparison, limit: TimeLimit) -> Iterator[Any]:
    """Rows that can move, each once. Raises TimeIsUp."""
    kind = comparison.kind
    if not one.change.moves_by_rules:
        yield from _named(one.change, kind, limit)
        return
    sure = comparison.conditions(Inline())
    can_move = to_q(any_of([sure.entering, sure.leaving, sure.in_doubt]))
    if _asks_everybody(one):
        found = batches(kind.rows().filter(can_move), kind)
        while True:
            with limit.statements():
                batch = next(found, None)
            if batch is None:
                return
            yield from batch
    sample = day_sample(kind)
    # Without one, those with the smallest keys.
    parts = [kind.rows().order_by(kind.key)]
    if sample is not None:
        parts = [sample.rows(part).order_by() for part in sample.parts]
    for rows in parts:
        with limit.statements():
            found_here = kind.snapshots(rows.filter(can_move)[:MOST_ROWS])
        yield from found_here


def _asks_everybody(one: Examination) -> bool:
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


class _Asked:
    """The values that were asked for so far."""

    def __init__(self, comparison: Comparison, flags: Sequence[str], *, with_people: bool) -> None:
        self._comparison = comparison
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
                was_in, is_in = self._comparison.judge(row)
                if was_in != is_in:
                    moving.append(row)
                if len(moving) == WINDOW:
                    self._add(moving, limit)
                    moving = []
            self._add(moving, limit)
        except TimeIsUp:
            return False
        return is_all

    def flags(self) -> tuple[FlagEffect, ...]:
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
        before, after = self._comparison.before, self._comparison.after
        with limit.statements() if self._comparison.kind.related else nullcontext():
            contexts = whole_contexts(rows, before, after, now=self._now)
        for row, pair in zip(rows, contexts, strict=True):
            self._count(row, pair)

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
        kind = self._comparison.kind
        return SampleUser(key=row.key, title=kind.title_of(row), name=kind.label_of(row))
