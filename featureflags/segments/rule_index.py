"""An index over compiled rules: a value rules out all rules that cannot match it at once.

Attribute by attribute, tables of bits keep the rules that may still match. Only the other clauses of
those rules (``rest``) are evaluated one by one.

Its gain, in µs for one user against 10, 100 and 1,000 segments of the general rules of
``python -m tests.benchmarks matching``: a plain loop over the compiled rules takes 4.2, 118 and 1,531,
the index 1.1, 9.2 and 63; with tables for ``in`` alone it takes 1.6, 29 and 486.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, TypeAlias

from featureflags.core.types import Attributes
from featureflags.segments.bitset_tables import EqualityTable, RangeTable
from featureflags.segments.compiled_rules import CompiledRule
from featureflags.segments.matching import CompiledClause, conjunction
from featureflags.segments.moving_dates import WINDOWS
from featureflags.segments.operators import LOWER_BOUNDS, UPPER_BOUNDS
from featureflags.segments.percentages import Predicate

Table: TypeAlias = EqualityTable | RangeTable
Place: TypeAlias = tuple[str, str]
"""An attribute and a kind of table: a table holds at most one clause of each rule."""

_COSTS: Final = {"before": 1, "after": 1, "matches": 2, **dict.fromkeys(WINDOWS, 3)}
_TABLES: Final[tuple[tuple[str, type[Table], AbstractSet[str]], ...]] = (
    ("equality", EqualityTable, frozenset({"in"})),
    ("upper", RangeTable, UPPER_BOUNDS),
    ("lower", RangeTable, LOWER_BOUNDS),
)


class RuleIndex:
    """Rules of segments that do not use each other."""

    __slots__ = ("_all", "_rules", "_tables")

    def __init__(self, rules: Iterable[tuple[str, CompiledRule]]) -> None:
        live = [(key, rule) for key, rule in rules if not rule.dead]
        held: dict[Place, list[tuple[int, CompiledClause]]] = {}
        found: list[tuple[str, Predicate | None]] = []
        for number, (key, rule) in enumerate(live):
            places = _places(rule)
            for place, clause in places.items():
                held.setdefault(place, []).append((1 << number, clause))
            found.append((key, _rest(rule, list(places.values()))))
        self._rules = tuple(found)
        self._all = (1 << len(live)) - 1
        self._tables = _tables(held, self._all)

    def collect(self, attributes: Attributes, matched: set[str], now: int) -> None:
        """Add the keys of segments with a rule that matches at ``now`` (µs) to ``matched``."""
        left = self._all
        for table in self._tables:
            left &= table.allowed(attributes)
            if not left:
                return
        rules = self._rules
        # The bits in text, lowest first: finding the next one is a search in C.
        bits = bin(left)[:1:-1]
        find, add = bits.find, matched.add
        number = find("1")
        while number >= 0:
            key, rest = rules[number]
            if rest is None or (key not in matched and rest(attributes, matched, now)):
                add(key)
            number = find("1", number + 1)


def _places(rule: CompiledRule) -> dict[Place, CompiledClause]:
    """The clauses of a rule that go into tables: the first of each kind and attribute."""
    places: dict[Place, CompiledClause] = {}
    for clause in rule.clauses:
        for kind, table, ops in _TABLES:
            if clause.clause.op in ops and table.takes(clause):
                places.setdefault((clause.path[0], kind), clause)
    return places


def _rest(rule: CompiledRule, settled: Sequence[CompiledClause]) -> Predicate | None:
    rest = [clause for clause in rule.clauses if not any(clause is placed for placed in settled)]
    rest.sort(key=lambda clause: _COSTS.get(clause.clause.op, 0))
    return conjunction(rule.tests(rest))


def _tables(
    held: dict[Place, list[tuple[int, CompiledClause]]], everything: int
) -> tuple[Table, ...]:
    classes = {kind: table for kind, table, _ in _TABLES}
    tables = []
    for (name, kind), clauses in held.items():
        bits = sum(bit for bit, _ in clauses)
        tables.append(classes[kind](name, clauses, everything & ~bits))
    # The tables that cover most rules come first, so that few rules are left early on.
    return tuple(sorted(tables, key=lambda table: table.free.bit_count()))
