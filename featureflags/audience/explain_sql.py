"""What each clause costs in SQL, and which index would help, for `segment_sizes --explain`.

Hidden SQL: each clause of each segment runs once by itself, on PostgreSQL under EXPLAIN ANALYZE.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db import connections

from featureflags.audience.sql.bounds import Bounds, Condition, to_q
from featureflags.audience.sql.compiler import SegmentCompiler, kind_of_segment
from featureflags.audience.sql.operands import (
    BooleanColumn,
    DaysColumn,
    Inline,
    InstantColumn,
    JSONColumn,
    Operand,
    RelatedTexts,
    operand_at,
)
from featureflags.kinds.compiled import CompiledKind
from featureflags.segments.definitions import EXISTS, SEGMENT_MATCH, Clause
from featureflags.segments.formatting import words
from featureflags.segments.ruleset import Ruleset

_SQLITE_INDEX: Final = re.compile(r"USING (?:COVERING )?INDEX (\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseCost:
    """One clause, by its numbers from 1; how long it takes alone, and what would help."""

    segment_key: str
    rule: int
    clause: int
    words: str
    milliseconds: float
    indexes: tuple[str, ...]
    """The indexes that the database used."""
    advice: str


def clause_costs(
    ruleset: Ruleset, keys: Collection[str] | None = None, *, now: int
) -> list[ClauseCost]:
    """The cost of every clause of the segments `keys` (None: all) at `now` (µs), the slowest first."""
    costs = list(_costs(ruleset, ruleset.definitions if keys is None else keys, now))
    return sorted(costs, key=lambda cost: -cost.milliseconds)


def _costs(ruleset: Ruleset, keys: Collection[str], now: int) -> Iterator[ClauseCost]:
    compiler = SegmentCompiler(ruleset, now=now)
    for key in sorted(keys):
        segment, kind = ruleset.segment(key), kind_of_segment(ruleset, key)
        for number, rule in enumerate(segment.rules if segment is not None else (), start=1):
            for position, compiled in enumerate(rule.clauses, start=1):
                if compiled.broken is not None or compiled.clause.op == SEGMENT_MATCH:
                    continue
                bounds = compiler.clause(compiled, kind)
                took, indexes = _measured(bounds.upper, kind)
                operand = operand_at(compiled.path, Inline(), kind)
                yield ClauseCost(
                    segment_key=key,
                    rule=number,
                    clause=position,
                    words=words(compiled.clause),
                    milliseconds=took,
                    indexes=indexes,
                    advice=_advice(compiled.clause, compiled.path, operand, bounds, indexes),
                )


def _measured(one: Condition, kind: CompiledKind) -> tuple[float, tuple[str, ...]]:
    """Milliseconds, and the indexes used."""
    if isinstance(one, bool):
        return 0.0, ()
    rows = kind.rows().filter(to_q(one)).order_by().values_list("pk")
    if connections[rows.db].vendor == "postgresql":
        [plan] = json.loads(rows.explain(format="json", analyze=True))
        return float(plan["Execution Time"]), tuple(sorted(set(_index_names(plan["Plan"]))))
    started = time.perf_counter()
    rows.count()
    took = (time.perf_counter() - started) * 1000
    return took, tuple(sorted(set(_SQLITE_INDEX.findall(rows.explain()))))


def _index_names(plan: dict[str, Any]) -> Iterator[str]:
    if "Index Name" in plan:
        yield plan["Index Name"]
    for inner in plan.get("Plans", ()):
        yield from _index_names(inner)


def _advice(
    clause: Clause,
    path: tuple[str, ...],
    operand: Operand,
    bounds: Bounds,
    indexes: tuple[str, ...],
) -> str:
    if not bounds.exact:
        return f"{bounds.reasons[0]}: Python decides. A condition on plain text needs no such help."
    if indexes:
        return f"the index {', '.join(indexes)} serves it"
    if clause.negate or clause.op == EXISTS:
        return "no index finds missing values: combine it with a condition that selects few users"
    return _index_for(clause, path, operand)


def _index_for(clause: Clause, path: tuple[str, ...], operand: Operand) -> str:
    name = path[0]
    if isinstance(operand, BooleanColumn):
        return f"an index on {name} helps only where one of its two values is rare"
    if isinstance(operand, InstantColumn | DaysColumn):
        return "there is an index on the date; the database prefers it where few users are selected"
    if isinstance(operand, RelatedTexts):
        return f"the index on the rows of {name} serves it; a group with few users is found fast"
    if isinstance(operand, JSONColumn):
        return _index_for_json(clause, path)
    if clause.op == "in" or clause.ignore_case:
        expression = f'LOWER({name} COLLATE "C")' if clause.ignore_case else name
        return f"an index on the expression of {expression}; it pays where few users are selected"
    return f"on PostgreSQL a trigram index (pg_trgm) on {name} would serve it"


def _index_for_json(clause: Clause, path: tuple[str, ...]) -> str:
    if (
        clause.op == "in"
        and not clause.ignore_case
        and all(isinstance(value, str | bool) for value in clause.values)
    ):
        return (
            "on PostgreSQL the GIN index on metadata (user_metadata) serves it where few users"
            " are selected"
        )
    steps = " -> ".join(f"'{part}'" for part in (path[0].removeprefix("custom_"), *path[1:]))
    return f"a separate column in place of metadata -> {steps}, with an index"
