"""All segments, compiled once for each version of the rules and matched many times.

Pure: it reads no clock and no store. ``now`` is a parameter, in µs since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeAlias

from featureflags.core.i18n import gettext
from featureflags.core.types import Attributes
from featureflags.segments.definitions import SEGMENT_MATCH, Problem, SegmentDefinition
from featureflags.segments.matching import (
    CompiledClause,
    CompiledRule,
    Predicate,
    compile_rule,
    conjunction,
)
from featureflags.segments.references import levels, reachable, references
from featureflags.segments.rule_index import RuleIndex

Membership: TypeAlias = tuple[str, bool, int | None]
"""A segment's key, whether the user is included rather than excluded, and until when (µs)."""


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
        rules = tuple(
            compile_rule(rule, number=number)
            for number, rule in enumerate(definition.rules, start=1)
        )
        return cls._of(definition, rules)

    @classmethod
    def _of(cls, definition: SegmentDefinition, rules: tuple[CompiledRule, ...]) -> CompiledSegment:
        predicates = (
            conjunction([clause.held for clause in rule.clauses]) for rule in rules if not rule.dead
        )
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
        if _current(self.definition.included, user_key, now):
            return True
        return False if _current(self.definition.excluded, user_key, now) else None

    def without_cycles(self, leads_back: Collection[str]) -> CompiledSegment:
        """A copy in which each clause on a segment that leads back to this one is broken."""
        rules = tuple(
            CompiledRule(
                rule=rule.rule,
                clauses=tuple(
                    _broken_by_cycle(clause, leads_back, rule=number, number=position)
                    for position, clause in enumerate(rule.clauses, start=1)
                ),
            )
            for number, rule in enumerate(self.rules, start=1)
        )
        return self._of(self.definition, rules)

    def problems(self, known: Collection[str]) -> Iterator[Problem]:
        """The reasons why clauses of this segment can never hold."""
        for number, rule in enumerate(self.rules, start=1):
            if not rule.clauses:
                yield Problem(
                    code="rule_empty", message=gettext("it has no condition"), rule=number
                )
            for position, clause in enumerate(rule.clauses, start=1):
                if clause.broken is not None:
                    yield clause.broken
                elif clause.clause.op == SEGMENT_MATCH:
                    yield from _unknown(clause, known, rule=number, number=position)


def _broken_by_cycle(
    clause: CompiledClause, leads_back: Collection[str], *, rule: int, number: int
) -> CompiledClause:
    if clause.clause.op != SEGMENT_MATCH:
        return clause
    for key in clause.clause.values:
        if isinstance(key, str) and key in leads_back:
            message = gettext("the segment %(key)r leads back to this one") % {"key": key}
            problem = Problem(code="cycle", message=message, rule=rule, clause=number)
            return CompiledClause(
                clause=clause.clause, held=lambda _attributes, _matched: False, broken=problem
            )
    return clause


def _unknown(
    clause: CompiledClause, known: Collection[str], *, rule: int, number: int
) -> Iterator[Problem]:
    for key in clause.clause.values:
        if not isinstance(key, str) or key not in known:
            message = gettext("there is no segment %(key)r") % {"key": key}
            yield Problem(code="segment_unknown", message=message, rule=rule, clause=number)


class Ruleset:
    """Compiled segments. Immutable, and safe to share between threads.

    A broken segment, rule or clause (an unknown operator, a bad expression, a cycle) matches nobody
    and is listed in ``problems``. No definition and no value makes anything here raise.
    """

    __slots__ = (
        "__weakref__",
        "_clauses",
        "_members",
        "_order",
        "_segments",
        "_sources",
        "_stages",
        "definitions",
        "problems",
        "version",
    )

    def __init__(
        self,
        definitions: Iterable[SegmentDefinition],
        *,
        version: int = 0,
        previous: Ruleset | None = None,
    ) -> None:
        self.version = version
        by_key = {definition.key: definition for definition in definitions}
        compiled = {
            key: _reused(definition, previous) or CompiledSegment.compile(definition)
            for key, definition in by_key.items()
        }
        self._sources = compiled
        self.definitions: Mapping[str, SegmentDefinition] = MappingProxyType(by_key)
        self._segments, layers = _without_cycles(compiled)
        self._order = {key: level for level, layer in enumerate(layers) for key in layer}
        self._stages = tuple(
            RuleIndex((key, rule) for key in layer for rule in self._segments[key].rules)
            for layer in layers
        )
        self._clauses = _clauses_by_attribute(self._segments)
        self._members = _memberships(by_key.values())
        self.problems: Mapping[str, tuple[Problem, ...]] = MappingProxyType(
            {
                key: problems
                for key, segment in self._segments.items()
                if (problems := tuple(segment.problems(by_key)))
            }
        )

    def evolve(self, definitions: Iterable[SegmentDefinition], *, version: int) -> Ruleset:
        """A ruleset of the new definitions that compiles only what changed.

        A segment with the same key, version and rules is reused.
        """
        return Ruleset(definitions, version=version, previous=self)

    def match(self, attributes: Attributes, *, now: int) -> frozenset[str]:
        """The keys of all segments of a user with these attributes, ``key`` among them."""
        matched: set[str] = set()
        barred: set[str] = set()
        user_key = attributes.get("key")
        if isinstance(user_key, str):
            for key, included, until in self._members.get(user_key, ()):
                if until is None or now < until:
                    (matched if included else barred).add(key)
            barred -= matched
        for stage in self._stages:
            stage.collect(attributes, matched)
            if barred:
                matched -= barred
        return frozenset(matched)

    def matches(self, segment_key: str, attributes: Attributes, *, now: int) -> bool:
        """True if such a user is in the segment. An unknown segment has no members."""
        asked = self._segments.get(segment_key)
        if asked is None:
            return False
        if not asked.names:
            return _is_in(asked, attributes, set(), now)
        matched: set[str] = set()
        for segment in self.with_dependencies(segment_key):
            if _is_in(segment, attributes, matched, now):
                matched.add(segment.definition.key)
        return segment_key in matched

    def source(self, segment_key: str) -> CompiledSegment | None:
        """The segment as compiled before cycles were cut, to be reused; None for an unknown key."""
        return self._sources.get(segment_key)

    def segment(self, segment_key: str) -> CompiledSegment | None:
        """The compiled segment, or None for an unknown key."""
        return self._segments.get(segment_key)

    def clauses_on(self, attribute: str) -> Sequence[tuple[str, CompiledClause]]:
        """The clauses on this attribute that can hold, each with its segment's key."""
        return self._clauses.get(attribute, ())

    def memberships(self, user_key: str) -> Iterable[Membership]:
        """The user's memberships by name, expired ones included."""
        return self._members.get(user_key, ())

    def with_dependencies(self, *segment_keys: str) -> list[CompiledSegment]:
        """These segments and all that they use, each after the segments that it names."""
        found = reachable(lambda key: self._segments[key].names & self._order.keys(), segment_keys)
        return [self._segments[key] for key in sorted(found, key=self._order.__getitem__)]


def _reused(definition: SegmentDefinition, previous: Ruleset | None) -> CompiledSegment | None:
    before = previous.source(definition.key) if previous is not None else None
    if before is None or before.definition.version != definition.version:
        return None
    if before.definition.rules != definition.rules:
        return None
    return replace(before, definition=definition)


def _without_cycles(
    compiled: dict[str, CompiledSegment],
) -> tuple[dict[str, CompiledSegment], list[list[str]]]:
    graph = {key: segment.names for key, segment in compiled.items()}
    layers, left_over = levels(graph)
    if not left_over:
        return compiled, layers
    repaired = dict(compiled)
    for key in left_over:
        leads_back = {
            name
            for name in graph[key] & left_over
            if key in reachable(lambda at: graph[at] & left_over, [name])
        }
        if leads_back:
            repaired[key] = compiled[key].without_cycles(leads_back)
    layers, _ = levels({key: segment.names for key, segment in repaired.items()})
    return repaired, layers


def _clauses_by_attribute(
    segments: Mapping[str, CompiledSegment],
) -> dict[str, list[tuple[str, CompiledClause]]]:
    clauses: dict[str, list[tuple[str, CompiledClause]]] = {}
    for key, segment in segments.items():
        for rule in segment.rules:
            for clause in rule.clauses if not rule.dead else ():
                if clause.path:
                    clauses.setdefault(clause.path[0], []).append((key, clause))
    return clauses


def _memberships(definitions: Iterable[SegmentDefinition]) -> dict[str, tuple[Membership, ...]]:
    members: dict[str, list[Membership]] = {}
    for definition in definitions:
        for user_key, until in definition.included.items():
            members.setdefault(user_key, []).append((definition.key, True, until))
        for user_key, until in definition.excluded.items():
            members.setdefault(user_key, []).append((definition.key, False, until))
    return {user_key: tuple(found) for user_key, found in members.items()}


def _is_in(segment: CompiledSegment, attributes: Attributes, matched: set[str], now: int) -> bool:
    membership = segment.membership(attributes, now=now)
    if membership is not None:
        return membership
    return any(predicate(attributes, matched) for predicate in segment.predicates)


def _current(members: Mapping[str, int | None], user_key: str, now: int) -> bool:
    if user_key not in members:
        return False
    until = members[user_key]
    return until is None or now < until
