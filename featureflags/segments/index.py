"""An equality index over compiled rules, so that most rules are never looked at.

A rule that says ``attribute in [values]`` can only match a user who has one of these values: it
is found by the user's value, and only its other clauses are evaluated. Rules without such a
clause are evaluated for everybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Final, TypeAlias

from featureflags.segments.operators import scalar_sets
from featureflags.segments.predicate import (
    BUILT_IN,
    CompiledClause,
    CompiledRule,
    Predicate,
    conjunction,
)
from featureflags.types import Attributes

Candidate: TypeAlias = tuple[str, Predicate | None]
"""A segment's key, and what else must hold for its rule to match; None if nothing else."""

Bucket: TypeAlias = tuple[str, bool, object]
"""An attribute, whether the value is a boolean, and the value."""

_COSTS: Final = {"before": 1, "after": 1, "matches": 2}
_PLAIN: Final = (str, int, float)
_LISTS: Final = (list, tuple)


class _Table:
    """The candidates of one attribute by value. Booleans stand apart, since True equals 1."""

    __slots__ = ("booleans", "name", "plain")

    def __init__(self, name: str) -> None:
        self.name = name
        self.plain: dict[str | int | float, list[Candidate]] = {}
        self.booleans: dict[bool, list[Candidate]] = {}

    def add(self, clause: CompiledClause, candidate: Candidate) -> None:
        plain, booleans, _ = scalar_sets(clause.clause.values)
        for value in plain:
            self.plain.setdefault(value, []).append(candidate)
        for boolean in booleans:
            self.booleans.setdefault(boolean, []).append(candidate)

    def find(self, value: object) -> Iterable[Candidate]:
        """The candidates for a value that is not just a string, or for each element of a list."""
        if isinstance(value, bool):
            return self.booleans.get(value, ())
        if isinstance(value, str):
            return self.plain.get(str.__str__(value), ())
        if isinstance(value, _PLAIN):
            return self.plain.get(value, ())
        if isinstance(value, _LISTS):
            return [
                candidate
                for element in value
                if not isinstance(element, _LISTS)
                for candidate in self.find(element)
            ]
        return ()


class RuleIndex:
    """Rules that rest on no other segment of the same index."""

    __slots__ = ("_scanned", "_tables")

    def __init__(self, rules: Iterable[tuple[str, CompiledRule]]) -> None:
        live = [(key, rule) for key, rule in rules if not rule.dead]
        crowds = _crowds(rule for _, rule in live)
        tables: dict[str, _Table] = {}
        scanned: list[tuple[str, Predicate]] = []
        for key, rule in live:
            chosen = _most_selective(rule, crowds)
            rest = _in_order_of_cost(clause for clause in rule.clauses if clause is not chosen)
            predicate = conjunction([clause.held for clause in rest])
            if chosen is not None:
                name = chosen.path[0]
                tables.setdefault(name, _Table(name)).add(chosen, (key, predicate))
            elif predicate is not None:
                scanned.append((key, predicate))
        self._tables = tuple((table.name, table.plain, table) for table in tables.values())
        self._scanned = tuple(scanned)

    def collect(self, attributes: Attributes, matched: set[str], barred: AbstractSet[str]) -> None:
        """Add the segments with a rule that matches to ``matched``, but none that is barred."""
        candidates: Iterable[Candidate]
        for name, plain, table in self._tables:
            value: object = attributes.get(name)
            if value is None:
                continue
            candidates = plain.get(value, ()) if value.__class__ is str else table.find(value)
            for key, rest in candidates:
                if (
                    key not in matched
                    and key not in barred
                    and (rest is None or rest(attributes, matched))
                ):
                    matched.add(key)
        for key, predicate in self._scanned:
            if key not in matched and key not in barred and predicate(attributes, matched):
                matched.add(key)


def _indexable(clause: CompiledClause) -> bool:
    if clause.clause.op != "in" or clause.clause.negate or len(clause.path) != 1:
        return False
    plain, booleans, others = scalar_sets(clause.clause.values)
    return clause.path[0] not in BUILT_IN and not others and bool(plain or booleans)


def _buckets(clause: CompiledClause) -> Iterator[Bucket]:
    plain, booleans, _ = scalar_sets(clause.clause.values)
    name = clause.path[0]
    for value in plain:
        yield name, False, value
    for boolean in booleans:
        yield name, True, boolean


def _crowds(rules: Iterable[CompiledRule]) -> Counter[Bucket]:
    """How many rules ask for each value: a value that few ask for tells them apart well."""
    return Counter(
        bucket
        for rule in rules
        for clause in rule.clauses
        if _indexable(clause)
        for bucket in _buckets(clause)
    )


def _most_selective(rule: CompiledRule, crowds: Counter[Bucket]) -> CompiledClause | None:
    return min(
        (clause for clause in rule.clauses if _indexable(clause)),
        key=lambda clause: sum(crowds[bucket] for bucket in _buckets(clause)),
        default=None,
    )


def _in_order_of_cost(clauses: Iterable[CompiledClause]) -> list[CompiledClause]:
    return sorted(clauses, key=lambda clause: _COSTS.get(clause.clause.op, 0))
