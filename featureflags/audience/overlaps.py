"""How two or three segments overlap: how many rows are in each combination of them.

Hidden SQL: one statement counts all combinations (two, where metadata hold lists). Rows for which SQL cannot
decide are read in batches and judged in Python.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from django.db.models import QuerySet

from featureflags.audience.querysets import batches
from featureflags.audience.sets import made_of
from featureflags.audience.sql.bounds import Bounds, Condition, any_of, to_q
from featureflags.audience.sql.compiler import SegmentCompiler, kind_of_segment
from featureflags.audience.sql.counting import TooWide, count_combinations
from featureflags.audience.sql.operands import Inline, Source
from featureflags.audience.sql.statement_timeout import TimeIsUp, TimeLimit
from featureflags.contexts.attributes import attributes_of
from featureflags.core.times import now_in_microseconds
from featureflags.segments.definitions import SegmentDefinition
from featureflags.segments.ruleset import Ruleset

MOST_COMPARED: Final = 3
SHARE: Final = 0.75
"""Of the time, after which the count stops: the rest is for what SQL cannot decide."""

Place = tuple[bool, ...]
"""For each of the segments, whether a row is in it."""


class NotComparable(ValueError):
    """The segments cannot be compared: the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Segments of one kind, and how many rows are in each combination of them."""

    keys: tuple[str, ...]
    counts: Mapping[Place, int]
    """Every combination, those in none of them too. Lower bounds unless `is_exact`."""
    is_exact: bool

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(self.counts.values())

    def size(self, key: str) -> int:
        """How many are in one of the segments."""
        at = self.keys.index(key)
        return sum(number for place, number in self.counts.items() if place[at])

    def shared(self, one: str, other: str) -> int:
        """How many are in both."""
        at, by = self.keys.index(one), self.keys.index(other)
        return sum(number for place, number in self.counts.items() if place[at] and place[by])

    def is_within(self, one: str, other: str) -> bool:
        """True if everybody in the one is in the other, as far as was counted."""
        at, by = self.keys.index(one), self.keys.index(other)
        return not any(number for place, number in self.counts.items() if place[at] > place[by])


def overlap_of(
    ruleset: Ruleset, keys: Sequence[str], *, now: int | None = None, seconds: float | None = None
) -> Overlap:
    """Count the combinations of two or three segments at `now` (µs), for `seconds` at most.

    Raises NotComparable for unknown segments, segments of several kinds, and one that is named twice.
    """
    _refuse(ruleset, keys)
    counted = _Count(ruleset, keys, now_in_microseconds() if now is None else now)
    if seconds is None:
        is_exact = counted.everybody(None)
    else:
        limit = TimeLimit(counted.kind.rows().db, seconds)
        try:
            with limit.statements():
                is_exact = counted.everybody(limit)
        except TimeIsUp:
            is_exact = False
    return Overlap(keys=tuple(keys), counts=dict(counted.counts), is_exact=is_exact)


class _Count:
    """The combinations, counted so far."""

    def __init__(self, ruleset: Ruleset, keys: Sequence[str], now: int) -> None:
        self._ruleset, self._keys, self._now = ruleset, keys, now
        self.kind = kind_of_segment(ruleset, keys[0])
        self.counts: Counter[Place] = Counter(dict.fromkeys(places(len(keys)), 0))

    def everybody(self, limit: TimeLimit | None) -> bool:
        """True if it got to the end. Raises TimeIsUp where a limit is given."""
        doubt = any_of(each.doubt for each in self._bounds(Inline()))
        rows = self.kind.rows()
        if limit is not None:
            rows = rows.filter(limit.in_time(SHARE))
        try:
            self._in_sql(rows, is_in_doubt=doubt is not False)
        except TooWide:
            return self._in_python(self.kind.rows(), limit)
        if limit is not None and limit.is_over(SHARE):
            return False
        return doubt is False or self._in_python(self.kind.rows().filter(to_q(doubt)), limit)

    def _in_sql(self, rows: QuerySet[Any], *, is_in_doubt: bool) -> None:
        def conditions(source: Source) -> list[Condition]:
            found = self._bounds(source)
            doubt = [any_of(each.doubt for each in found)] if is_in_doubt else []
            return [*(each.lower for each in found), *doubt]

        number = len(self._keys)
        for combination, count in count_combinations(rows, conditions).items():
            if not any(combination[number:]):
                self.counts[tuple(map(bool, combination[:number]))] += count

    def _in_python(self, rows: QuerySet[Any], limit: TimeLimit | None) -> bool:
        for batch in batches(rows, self.kind):
            for row in batch:
                attributes = attributes_of(row, self._now)
                place = (self._ruleset.matches(k, attributes, now=self._now) for k in self._keys)
                self.counts[tuple(place)] += 1
            if limit is not None and limit.is_over():
                return False
        return True

    def _bounds(self, source: Source) -> list[Bounds]:
        compiler = SegmentCompiler(self._ruleset, now=self._now, source=source)
        return [compiler.segment(key) for key in self._keys]


def places(number: int) -> list[Place]:
    """All combinations of so many segments: in all of them first, in none last."""
    return list(product((True, False), repeat=number))


def combination(key: str, keys: Sequence[str], place: Place, *, kind: str) -> SegmentDefinition:
    """The rows in one combination, which is in one of the segments at least, as a segment `key`."""
    within = [[name] for name, is_in in zip(keys, place, strict=True) if is_in]
    outside = [name for name, is_in in zip(keys, place, strict=True) if not is_in]
    return made_of(key, within=within, outside=outside, kind=kind)


def _refuse(ruleset: Ruleset, keys: Sequence[str]) -> None:
    if not 2 <= len(keys) <= MOST_COMPARED or len(set(keys)) != len(keys):
        raise NotComparable("Name two or three different segments.")
    for key in keys:
        if key not in ruleset.definitions:
            raise NotComparable(f"There is no segment {key!r}.")
    kinds = sorted({ruleset.definitions[key].kind for key in keys})
    if len(kinds) > 1:
        raise NotComparable(f"They are of several kinds: {', '.join(kinds)}.")
