"""One segment, compiled: its rules in order, and who is a member by name.

Pure, like the ruleset that consists of these.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from featureflags.core.i18n import gettext
from featureflags.core.types import Attributes
from featureflags.segments.compiled_rules import CompiledRule, compile_rule
from featureflags.segments.definitions import SEGMENT_MATCH, Problem, SegmentDefinition
from featureflags.segments.matching import (
    CompiledClause,
    conjunction,
    never_held,
)
from featureflags.segments.percentages import Predicate, seed_of
from featureflags.segments.references import references


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledSegment:
    """A definition and its compiled rules, in their order."""

    definition: SegmentDefinition
    rules: tuple[CompiledRule, ...]
    predicates: tuple[Predicate, ...]
    names: frozenset[str]

    @classmethod
    def compile(cls, definition: SegmentDefinition) -> CompiledSegment:
        """Compile a definition; never raises, see ``compile_clause``."""
        seed = seed_of(definition)
        rules = tuple(
            compile_rule(rule, number=number, kind=definition.kind, seed=seed)
            for number, rule in enumerate(definition.rules, start=1)
        )
        return cls._of(definition, rules)

    @classmethod
    def _of(cls, definition: SegmentDefinition, rules: tuple[CompiledRule, ...]) -> CompiledSegment:
        predicates = (conjunction(rule.tests(rule.clauses)) for rule in rules if not rule.dead)
        return cls(
            definition=definition,
            rules=rules,
            predicates=tuple(found for found in predicates if found is not None),
            names=references(rule.rule for rule in rules if not rule.dead),
        )

    def membership(self, attributes: Attributes, *, now: int) -> bool | None:
        """True if the user is included by name at ``now``, False if excluded, None if neither."""
        user_key = attributes.get("key")
        if not isinstance(user_key, str):
            return None
        definition = self.definition
        if definition.is_current(definition.included, user_key, now):
            return True
        return False if definition.is_current(definition.excluded, user_key, now) else None

    def without_cycles(self, leads_back: Collection[str]) -> CompiledSegment:
        """A copy in which each clause on a segment that leads back to this one is broken."""
        rules = tuple(
            replace(
                rule,
                clauses=tuple(
                    _broken_by_cycle(clause, leads_back, rule=number, number=position)
                    for position, clause in enumerate(rule.clauses, start=1)
                ),
            )
            for number, rule in enumerate(self.rules, start=1)
        )
        return self._of(self.definition, rules)

    def problems(self, known: Mapping[str, SegmentDefinition]) -> Iterator[Problem]:
        """The reasons why clauses of this segment can never hold."""
        for number, rule in enumerate(self.rules, start=1):
            if not rule.clauses:
                yield Problem(
                    code="rule_empty", message=gettext("it has no condition"), rule=number
                )
            if rule.broken is not None:
                yield rule.broken
            for position, clause in enumerate(rule.clauses, start=1):
                if clause.broken is not None:
                    yield clause.broken
                elif clause.clause.op == SEGMENT_MATCH:
                    kind = self.definition.kind
                    yield from _unknown(clause, known, kind, rule=number, number=position)


def _broken_by_cycle(
    clause: CompiledClause, leads_back: Collection[str], *, rule: int, number: int
) -> CompiledClause:
    if clause.clause.op != SEGMENT_MATCH:
        return clause
    for key in clause.clause.values:
        if isinstance(key, str) and key in leads_back:
            message = gettext("the segment %(key)r leads back to this one") % {"key": key}
            problem = Problem(code="cycle", message=message, rule=rule, clause=number)
            return CompiledClause(clause=clause.clause, held=never_held, broken=problem)
    return clause


def _unknown(
    clause: CompiledClause,
    known: Mapping[str, SegmentDefinition],
    kind: str,
    *,
    rule: int,
    number: int,
) -> Iterator[Problem]:
    for key in clause.clause.values:
        if not isinstance(key, str) or key not in known:
            message = gettext("there is no segment %(key)r") % {"key": key}
            yield Problem(code="segment_unknown", message=message, rule=rule, clause=number)
        elif known[key].kind != kind:
            message = gettext("the segment %(key)r is on %(other)r, and this one on %(kind)r")
            shown = {"key": key, "other": known[key].kind, "kind": kind}
            yield Problem(code="segment_kind", message=message % shown, rule=rule, clause=number)
