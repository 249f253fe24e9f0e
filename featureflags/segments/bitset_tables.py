"""Tables of ``rule_index``: the rules that an attribute's value allows, as bits of an integer.

A rule is a bit. A table holds at most one clause of each rule; rules without a clause in it are *free*:
it allows them whatever the value. A look-up costs the same however many rules there are. For the
gain see ``rule_index``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from featureflags.core.types import Attributes
from featureflags.segments.matching import BUILT_IN, CompiledClause
from featureflags.segments.operators import LOWER_BOUNDS, UPPER_BOUNDS, numeric_limit, scalar_sets

_NUMBERS: Final = (int, float)
_LISTS: Final = (list, tuple)


class EqualityTable:
    """Clauses ``attribute in [strings, numbers, booleans]``."""

    __slots__ = ("_booleans", "_plain", "free", "name")

    def __init__(self, name: str, clauses: Sequence[tuple[int, CompiledClause]], free: int) -> None:
        self.name = name
        self.free = free
        self._plain: dict[str | int | float, int] = {}
        self._booleans: dict[bool, int] = {}
        for bit, clause in clauses:
            plain, booleans, _ = scalar_sets(clause.clause.values)
            for value in plain:
                self._plain[value] = self._plain.get(value, free) | bit
            for boolean in booleans:
                self._booleans[boolean] = self._booleans.get(boolean, free) | bit

    @staticmethod
    def takes(clause: CompiledClause) -> bool:
        """True if the table can hold the clause: not negated, no objects or lists, case as it is."""
        if clause.clause.op != "in" or clause.clause.ignore_case or not _plain_attribute(clause):
            return False
        return not scalar_sets(clause.clause.values)[2]

    def allowed(self, attributes: Attributes) -> int:
        """The rules that the user's value allows."""
        value: object = attributes.get(self.name)
        if value.__class__ is str:
            return self._plain.get(value, self.free)
        return self._find(value)

    def _find(self, value: object) -> int:
        # True equals 1 and shares its hash, so that booleans have a separate table.
        if isinstance(value, bool):
            return self._booleans.get(value, self.free)
        if isinstance(value, str):
            return self._plain.get(str.__str__(value), self.free)
        if isinstance(value, _NUMBERS):
            return self._plain.get(value, self.free)
        allowed = self.free
        if isinstance(value, _LISTS):
            for element in value:
                if not isinstance(element, _LISTS):
                    allowed |= self._find(element)
        return allowed


class RangeTable:
    """Clauses ``attribute lessThan [number]`` and the like; upper and lower bounds have a table each.

    The answer is constant between two neighbouring limits and at each limit, so it is computed once
    for each of these places. Place ``2 i`` is the gap below limit ``i``, place ``2 i + 1`` the limit
    itself.
    """

    __slots__ = ("_allowed", "_clauses", "_limits", "free", "name")

    def __init__(self, name: str, clauses: Sequence[tuple[int, CompiledClause]], free: int) -> None:
        self.name = name
        self.free = free
        self._clauses = tuple(clauses)
        limits = {bit: _limit(clause) for bit, clause in clauses}
        self._limits = sorted(set(limits.values()))
        place = {limit: 2 * number + 1 for number, limit in enumerate(self._limits)}
        starts = [0] * (2 * len(self._limits) + 1)
        ends = [0] * (2 * len(self._limits) + 1)
        for bit, clause in clauses:
            at, op = place[limits[bit]], clause.clause.op
            if op in UPPER_BOUNDS:
                starts[0] |= bit
                ends[at + 1 if op == "lessThanOrEqual" else at] |= bit
            else:
                starts[at if op == "greaterThanOrEqual" else at + 1] |= bit
        self._allowed: list[int] = []
        allowed = free
        for start, end in zip(starts, ends, strict=True):
            allowed = (allowed | start) & ~end
            self._allowed.append(allowed)

    @staticmethod
    def takes(clause: CompiledClause) -> bool:
        """True if the table can hold the clause: a comparison of numbers, not negated."""
        if clause.clause.op not in UPPER_BOUNDS | LOWER_BOUNDS or not _plain_attribute(clause):
            return False
        return numeric_limit(clause.clause.op, clause.clause.values) is not None

    def allowed(self, attributes: Attributes) -> int:
        """The rules that the user's value allows."""
        value: object = attributes.get(self.name)
        if not isinstance(value, _NUMBERS) or value.__class__ is bool:
            if isinstance(value, _LISTS):
                return self._one_by_one(attributes)
            return self.free
        try:
            number = float(value)
        except OverflowError:
            return self.free
        limits = self._limits
        after = bisect_left(limits, number)
        if after < len(limits) and limits[after] == number:
            return self._allowed[2 * after + 1]
        # NaN compares as false with everything, so it has no place.
        return self._allowed[2 * after] if number == number else self.free  # noqa: PLR0124

    def _one_by_one(self, attributes: Attributes) -> int:
        allowed = self.free
        for bit, clause in self._clauses:
            if clause.held(attributes, frozenset(), 0):
                allowed |= bit
        return allowed


def _plain_attribute(clause: CompiledClause) -> bool:
    return not clause.clause.negate and len(clause.path) == 1 and clause.path[0] not in BUILT_IN


def _limit(clause: CompiledClause) -> float:
    limit = numeric_limit(clause.clause.op, clause.clause.values)
    if limit is None:
        raise ValueError(f"{clause.clause} has no limit")
    return limit
