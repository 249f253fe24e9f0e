"""One rule, compiled: its clauses in order, and the percentage that it takes of those who match."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from featureflags.core.types import Attributes
from featureflags.segments.definitions import USER_KIND, Problem, Rule
from featureflags.segments.matching import CompiledClause, compile_clause, reader
from featureflags.segments.percentages import (
    CompiledPercentage,
    Predicate,
    bucket_path,
    compile_percentage,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledRule:
    """A rule and its clauses, in order, and the percentage that it takes of those who match.

    Without clauses, or where it or a clause is ``broken``, it is dead.
    """

    rule: Rule
    clauses: tuple[CompiledClause, ...]
    percentage: CompiledPercentage | None = None
    broken: Problem | None = None

    @property
    def dead(self) -> bool:
        """True if this rule can never match."""
        if not self.clauses or self.broken is not None:
            return True
        return any(clause.broken is not None for clause in self.clauses)

    def tests(self, clauses: Iterable[CompiledClause]) -> list[Predicate]:
        """What must hold: these of its clauses, and last the percentage, which costs most."""
        held = [clause.held for clause in clauses]
        return held if self.percentage is None else [*held, self.percentage.held]

    def holds(self, attributes: Attributes, matched: AbstractSet[str], now: int) -> bool:
        """True if a row matches at ``now`` (µs); ``matched``: the segments that it is in."""
        tests = () if self.dead else self.tests(self.clauses)
        return bool(tests) and all(test(attributes, matched, now) for test in tests)


def compile_rule(rule: Rule, *, number: int, kind: str = USER_KIND, seed: str = "") -> CompiledRule:
    """Compile a rule of a segment of this kind; ``number``, from 1, is where its problems are reported.

    ``seed``: see ``percentages.seed_of``.
    """
    clauses = tuple(
        compile_clause(clause, rule=number, number=position, kind=kind)
        for position, clause in enumerate(rule.clauses, start=1)
    )
    if rule.weight is None:
        return CompiledRule(rule=rule, clauses=clauses)
    try:
        path = bucket_path(rule.bucket_by, rule.rollout_context_kind, kind)
    except ValueError as error:
        problem = Problem(code="broken", message=str(error), rule=number)
        return CompiledRule(rule=rule, clauses=clauses, broken=problem)
    percentage = compile_percentage(rule.weight, path, reader(path, kind), seed)
    return CompiledRule(rule=rule, clauses=clauses, percentage=percentage)
