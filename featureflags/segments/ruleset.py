"""All segments, compiled once for each version of the rules and matched many times.

Pure: it reads no clock and no store. ``now`` is a parameter, in µs since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from featureflags.core.types import Attributes
from featureflags.segments.compiled_segments import CompiledSegment
from featureflags.segments.definitions import USER_KIND, Problem, SegmentDefinition
from featureflags.segments.matching import CompiledClause
from featureflags.segments.percentages import seed_of
from featureflags.segments.references import levels, reachable
from featureflags.segments.rule_index import RuleIndex

Membership: TypeAlias = tuple[str, bool, int | None, int | None]
"""A segment's key, whether the user is included rather than excluded, since when and until when (µs)."""


class _Part(NamedTuple):
    """What is asked by kind: the rules of its segments, their clauses, their members, and which of
    them take a percentage by an attribute."""

    stages: tuple[RuleIndex, ...]
    clauses: Mapping[str, Sequence[tuple[str, CompiledClause]]]
    moving: Sequence[tuple[str, CompiledClause]]
    members: Mapping[str, tuple[Membership, ...]]
    buckets: Mapping[str, frozenset[str]]


_EMPTY = _Part((), {}, (), {}, {})


class Ruleset:
    """Compiled segments of all kinds. Immutable, and safe to share between threads.

    A segment uses only segments of its own kind: others count as unknown.

    A broken segment, rule or clause (an unknown operator, a bad expression, a cycle) matches nobody
    and is listed in ``problems``. No definition and no value makes anything here raise.
    """

    __slots__ = (
        "__weakref__",
        "_order",
        "_parts",
        "_segments",
        "_sources",
        "_users",
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
        self._parts = {
            kind: self._part(kind, layers)
            for kind in {definition.kind for definition in by_key.values()}
        }
        self._users = self._parts.get(USER_KIND, _EMPTY)
        self.problems: Mapping[str, tuple[Problem, ...]] = MappingProxyType(
            {
                key: problems
                for key, segment in self._segments.items()
                if (problems := tuple(segment.problems(by_key)))
            }
        )

    def _part(self, kind: str, layers: Iterable[Iterable[str]]) -> _Part:
        of_kind = {
            key: segment
            for key, segment in self._segments.items()
            if segment.definition.kind == kind
        }
        clauses = _clauses_by_attribute(of_kind)
        kept = ([key for key in layer if key in of_kind] for layer in layers)
        return _Part(
            stages=tuple(
                RuleIndex((key, rule) for key in layer for rule in of_kind[key].rules)
                for layer in kept
                if layer
            ),
            clauses=clauses,
            moving=[each for found in clauses.values() for each in found if each[1].windows],
            members=_memberships(segment.definition for segment in of_kind.values()),
            buckets=_buckets_by_attribute(of_kind),
        )

    def evolve(self, definitions: Iterable[SegmentDefinition], *, version: int) -> Ruleset:
        """A ruleset of the new definitions that compiles only what changed.

        A segment with the same key, version and rules is reused.
        """
        return Ruleset(definitions, version=version, previous=self)

    def match(self, attributes: Attributes, *, now: int, kind: str = USER_KIND) -> frozenset[str]:
        """The keys of all segments of a row of this kind with these attributes, ``key`` among them."""
        part = self._users if kind == USER_KIND else self._parts.get(kind, _EMPTY)
        matched: set[str] = set()
        barred: set[str] = set()
        user_key = attributes.get("key")
        if isinstance(user_key, str):
            for key, included, since, until in part.members.get(user_key, ()):
                if (until is None or now < until) and (since is None or since <= now):
                    (matched if included else barred).add(key)
            barred -= matched
        for stage in part.stages:
            stage.collect(attributes, matched, now)
            if barred:
                matched -= barred
        return frozenset(matched)

    def matches(self, segment_key: str, attributes: Attributes, *, now: int) -> bool:
        """True if such a row of the segment's kind is in it. An unknown segment has no members."""
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

    def clauses_on(
        self, attribute: str, kind: str = USER_KIND
    ) -> Sequence[tuple[str, CompiledClause]]:
        """The clauses on this attribute of a kind that can hold, each with its segment's key."""
        return self._parts.get(kind, _EMPTY).clauses.get(attribute, ())

    def moving_clauses(self, kind: str = USER_KIND) -> Sequence[tuple[str, CompiledClause]]:
        """The clauses of a kind on dates that move and that can hold, each with its segment's key."""
        return self._parts.get(kind, _EMPTY).moving

    def bucketed_by(self, attribute: str, kind: str = USER_KIND) -> Collection[str]:
        """The segments with a rule that takes a percentage by this attribute of a kind."""
        return self._parts.get(kind, _EMPTY).buckets.get(attribute, ())

    def memberships(self, key: str, kind: str = USER_KIND) -> Iterable[Membership]:
        """The memberships by name of a row of a kind, with those that have ended or not begun."""
        return self._parts.get(kind, _EMPTY).members.get(key, ())

    def with_dependencies(self, *segment_keys: str) -> list[CompiledSegment]:
        """These segments and all that they use, each after the segments that it names."""
        found = reachable(self._used_by, segment_keys)
        return [self._segments[key] for key in sorted(found, key=self._order.__getitem__)]

    def _used_by(self, segment_key: str) -> Iterator[str]:
        segment = self._segments[segment_key]
        for name in segment.names & self._order.keys():
            if self._segments[name].definition.kind == segment.definition.kind:
                yield name


def _reused(definition: SegmentDefinition, previous: Ruleset | None) -> CompiledSegment | None:
    before = previous.source(definition.key) if previous is not None else None
    if before is None or before.definition.version != definition.version:
        return None
    old = before.definition
    if old.rules != definition.rules or old.kind != definition.kind:
        return None
    if seed_of(old) != seed_of(definition):
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


def _buckets_by_attribute(segments: Mapping[str, CompiledSegment]) -> dict[str, frozenset[str]]:
    buckets: dict[str, set[str]] = {}
    for key, segment in segments.items():
        for rule in segment.rules:
            if rule.percentage is not None and not rule.dead:
                buckets.setdefault(rule.percentage.path[0], set()).add(key)
    return {name: frozenset(keys) for name, keys in buckets.items()}


def _memberships(definitions: Iterable[SegmentDefinition]) -> dict[str, tuple[Membership, ...]]:
    members: dict[str, list[Membership]] = {}
    for definition in definitions:
        key, begins = definition.key, definition.begins
        for user_key, until in definition.included.items():
            members.setdefault(user_key, []).append((key, True, begins.get(user_key), until))
        for user_key, until in definition.excluded.items():
            members.setdefault(user_key, []).append((key, False, begins.get(user_key), until))
    return {user_key: tuple(found) for user_key, found in members.items()}


def _is_in(segment: CompiledSegment, attributes: Attributes, matched: set[str], now: int) -> bool:
    membership = segment.membership(attributes, now=now)
    if membership is not None:
        return membership
    return any(predicate(attributes, matched, now) for predicate in segment.predicates)
