"""Segments made of segments, for a page or a count: who is in all of some, and in none of others.

Each is a definition that names the others, under a key that no stored segment can have, so that the engine
and its SQL do the rest: `segment_sizes` counts them in one pass, and `SegmentAudience` lists them.

>>> only_beta = made_of("~1", within=[["beta"]], outside=["staff"])
>>> [(clause.values, clause.negate) for clause in only_beta.rules[0].clauses]
[(('beta',), False), (('staff',), True)]
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from featureflags.kinds.registry import USER
from featureflags.segments.definitions import SEGMENT_MATCH, Clause, Rule, SegmentDefinition
from featureflags.segments.ruleset import Ruleset


def made_of(
    key: str,
    *,
    within: Iterable[Collection[str]],
    outside: Collection[str] = (),
    kind: str = USER,
) -> SegmentDefinition:
    """The rows that are in any segment of each collection of `within`, and in none of `outside`."""
    clauses = [_named(keys) for keys in within]
    if outside:
        clauses.append(replace(_named(outside), negate=True))
    return SegmentDefinition(key=key, kind=kind, rules=(Rule(clauses=tuple(clauses)),))


def with_segments(ruleset: Ruleset, *more: SegmentDefinition) -> Ruleset:
    """These rules and those definitions, which replace any of the same key."""
    definitions = {**ruleset.definitions, **{each.key: each for each in more}}
    return ruleset.evolve(definitions.values(), version=ruleset.version)


def _named(keys: Collection[str]) -> Clause:
    return Clause(attribute="", op=SEGMENT_MATCH, values=tuple(keys))
