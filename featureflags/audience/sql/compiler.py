"""Whole segments in SQL: included, excluded, rules, and the segments that the rules name.

Each is compiled for the rows of its own kind.

It takes the clauses as the engine compiles them, so that a broken one (a bad expression, an unknown
operator, a cycle) matches nobody here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from django.db.models import F, Q, TextField

from featureflags.audience.sql.bounds import Bounds, both, either, exactly, inverse, to_q, unknown
from featureflags.audience.sql.clauses import clause_bounds, key_condition, parameters_of
from featureflags.audience.sql.operands import Inline, Operand, Source, operand_at
from featureflags.audience.sql.percentages import Hashes, hashes_of, percentage_bounds
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import kind_named, user_kind
from featureflags.segments.compiled_rules import CompiledRule
from featureflags.segments.compiled_segments import CompiledSegment
from featureflags.segments.definitions import SEGMENT_MATCH, SegmentDefinition
from featureflags.segments.matching import CompiledClause
from featureflags.segments.ruleset import Ruleset

MOST_CLAUSES: Final = 500
"""Clauses in one segment's SQL, nested segments included. Beyond that, Python decides."""

MOST_NESTED: Final = 5
"""Levels of nested segments. Beyond that, Python decides: SQLite's parser has a stack of 100."""


MOST_PARAMETERS: Final = 10_000
"""Values that are a parameter each. A comparison of two rulesets repeats each up to 16 times, and
SQLite refuses a query with more than 250,000 parameters. Beyond that, Python decides."""

VALUES_OF_A_CLAUSE: Final = 100
"""So many values, each a parameter of its own, weigh as much as a clause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledQ:
    """A segment as filters on users, at one moment.

    A user who fulfils `lower` is in; a user who is in fulfils `upper`. They are the same if it is
    `exact`; otherwise `why_inexact` names what SQL cannot express.
    """

    lower: Q
    upper: Q
    why_inexact: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        return not self.why_inexact


def compile_segment(ruleset: Ruleset, segment_key: str, *, now: int) -> CompiledQ:
    """The filters of a segment at `now` (µs). An unknown segment has no members."""
    bounds = SegmentCompiler(ruleset, now=now).segment(segment_key)
    lower = to_q(bounds.lower)
    upper = lower if bounds.exact else to_q(bounds.upper)
    return CompiledQ(lower=lower, upper=upper, why_inexact=bounds.reasons)


def kind_of_segment(ruleset: Ruleset, key: str) -> CompiledKind:
    """The kind of a segment; `user` for an unknown segment, and for a kind that no app declares."""
    found = ruleset.definitions.get(key)
    known = None if found is None else kind_named(found.kind)
    return user_kind() if known is None else known


class SegmentCompiler:
    """Compiles segments of one ruleset at one moment (µs), each of them once."""

    def __init__(self, ruleset: Ruleset, *, now: int, source: Source | None = None) -> None:
        self._ruleset = ruleset
        self._now = now
        self._source = source if source is not None else Inline()
        self._done: dict[str, Bounds] = {}
        self._depths: dict[str, int] = {}
        self._operands: dict[tuple[str, tuple[str, ...]], Operand] = {}
        self._hashing: dict[str, Hashes] = {}
        self._marks = 0

    def segment(self, key: str) -> Bounds:
        """The condition of a segment; False for one that is unknown, or of an unknown kind."""
        found = self._ruleset.definitions.get(key)
        if found is None or kind_named(found.kind) is None:
            return exactly(False)
        if key not in self._done:
            for segment in self._ruleset.with_dependencies(key):
                name = segment.definition.key
                if name not in self._done:
                    self._done[name] = self._bounds(segment)
        return self._done[key]

    def clause(self, clause: CompiledClause, kind: CompiledKind) -> Bounds:
        """The condition of one clause of a segment of this kind."""
        if clause.broken is not None:
            return exactly(False)
        if clause.clause.op == SEGMENT_MATCH:
            named = either(
                self._done.get(key, exactly(False))
                for key in clause.clause.values
                if isinstance(key, str)
            )
            return inverse(named) if clause.clause.negate else named
        operand = self._operand(clause.path, kind)
        marks = parameters_of(clause.clause, operand)
        self._marks += marks
        if self._marks > MOST_PARAMETERS:
            return unknown(
                f"SQL takes {MOST_PARAMETERS:,} such values at most ({clause.clause.op})"
            )
        bounds = clause_bounds(clause.clause, operand, self._source, self._now)
        size = 1 + marks // VALUES_OF_A_CLAUSE
        return bounds if size == bounds.size else replace(bounds, size=size)

    def _bounds(self, segment: CompiledSegment) -> Bounds:
        definition = segment.definition
        depth = 1 + max((self._depths.get(name, 0) for name in segment.names), default=0)
        bounds = self._written_out(segment) if depth <= MOST_NESTED else None
        if bounds is None or (bounds.size > MOST_CLAUSES and segment.names):
            depth, bounds = 1, self._without_nested(segment)
        self._depths[definition.key] = depth
        return bounds

    def _written_out(self, segment: CompiledSegment) -> Bounds:
        definition = segment.definition
        kind = kind_of_segment(self._ruleset, definition.key)
        rules = either(self._rule(rule, kind) for rule in segment.rules if not rule.dead)
        excluded = self._members(definition, definition.excluded, kind)
        if excluded.lower is not False:
            rules = both([inverse(excluded), rules])
        return either([self._members(definition, definition.included, kind), rules])

    def _rule(self, rule: CompiledRule, kind: CompiledKind) -> Bounds:
        """All its clauses, and its percentage."""
        parts = [self.clause(clause, kind) for clause in rule.clauses]
        if rule.percentage is not None:
            operand = self._operand(rule.percentage.path, kind)
            parts.append(percentage_bounds(rule.percentage, operand, self._hashes(kind)))
        return both(parts)

    def _hashes(self, kind: CompiledKind) -> Hashes:
        alias = kind.rows().db
        if alias not in self._hashing:
            self._hashing[alias] = hashes_of(alias)
        return self._hashing[alias]

    def _operand(self, path: tuple[str, ...], kind: CompiledKind) -> Operand:
        place = kind.name, path
        operand = self._operands.get(place)
        if operand is None:
            operand = self._operands[place] = operand_at(path, self._source, kind)
        return operand

    def _without_nested(self, segment: CompiledSegment) -> Bounds:
        """Its exact SQL would be too large: included rows are in, excluded ones are out."""
        definition = segment.definition
        kind = kind_of_segment(self._ruleset, definition.key)
        why = f"the segment {definition.key!r} uses more clauses than SQL should hold"
        included = self._members(definition, definition.included, kind)
        excluded = self._members(definition, definition.excluded, kind)
        anybody = both([inverse(excluded), unknown(why)])
        return either([included, anybody])

    def _members(
        self, of: SegmentDefinition, members: Mapping[str, int | None], kind: CompiledKind
    ) -> Bounds:
        keys = of.current(members, self._now)
        if not keys:
            return exactly(False)
        pk = self._source.take(F(kind.key), TextField())
        return exactly(key_condition(pk, keys, kind))
