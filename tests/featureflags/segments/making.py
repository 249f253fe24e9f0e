"""Short ways to write segments and clauses."""

from __future__ import annotations

from collections.abc import Sequence

from featureflags.core.types import JSONValue
from featureflags.segments.definitions import Clause, Rule, SegmentDefinition


def segment(key: str, *rules: Sequence[Clause], version: int = 1) -> SegmentDefinition:
    found = tuple(Rule(clauses=tuple(clauses)) for clauses in rules)
    return SegmentDefinition(key=key, rules=found, version=version)


def clause(op: str, *values: JSONValue, attribute: str = "a", **changes: object) -> Clause:
    negate = changes.get("negate") is True
    kind = changes.get("context_kind")
    return Clause(
        attribute=attribute,
        op=op,
        values=values,
        negate=negate,
        context_kind=None if kind is None else str(kind),
    )


def in_segments(*keys: str, negate: bool = False) -> Clause:
    return clause("segmentMatch", *keys, attribute="", negate=negate)


IS_ONE = clause("in", 1)
