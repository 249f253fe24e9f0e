"""Matching one user against many segments: ours beside flagsmith-engine, from one run.

    python -m tests.benchmarks.matching [--json FILE]

Both sides hold the same rules and the same user, must give the same answer, and are timed in
turns; the best of several runs counts. *Plain* is our own engine without its index of rules: a loop
over the compiled rules. Absolute figures move from machine to machine: read the
ratios. *General* rules test what many segments test (a role, an age, a domain); *selective* ones
begin with a value that few segments ask for.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from flag_engine.engine import get_evaluation_result

from featureflags.core.types import Attributes, JSONValue
from featureflags.segments.compiled_rules import CompiledRule
from featureflags.segments.definitions import Clause, Rule, SegmentDefinition
from featureflags.segments.matching import conjunction
from featureflags.segments.ruleset import Ruleset

SIZES = (10, 100, 1000)
RUNS = 9
AIM_AT_100 = 40
"""How many times faster than flagsmith-engine at 100 segments, general rules."""

USER: dict[str, JSONValue] = {
    "key": "8f4e3b1a-0000-4000-8000-000000000001",
    "role": "user",
    "plan": "plan-7",
    "country": "country-3",
    "email": "ada@agpt.co",
    "email_domain": "agpt.co",
    "account_age_days": 365,
    "seats": 12,
    "team": "team-5",
}

FLAGSMITH_OPERATORS = {
    "in": "IN",
    "contains": "CONTAINS",
    "lessThan": "LESS_THAN",
    "greaterThan": "GREATER_THAN",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the result: µs for one user against ``segments`` segments."""

    rules: str
    segments: int
    ours: float
    plain: float
    flagsmith: float
    ratio: float
    compile_ms: float


def clause(attribute: str, op: str, *values: JSONValue) -> Clause:
    return Clause(attribute=attribute, op=op, values=values)


def general(number: int, chance: random.Random) -> tuple[Clause, ...]:
    """Three clauses on what many segments test. One in four has nothing to be found by."""
    first = (
        clause("plan", "in", f"plan-{chance.randrange(20)}"),
        clause("country", "in", *(f"country-{chance.randrange(30)}" for _ in range(3))),
        clause("role", "in", chance.choice(["user", "admin", "system"])),
        clause("email", "contains", chance.choice(["@agpt.co", "@example.org", "ada"])),
    )[number % 4]
    return (
        first,
        clause("account_age_days", "greaterThan", chance.randrange(400)),
        clause("seats", "lessThan", chance.randrange(1, 30)),
    )


def selective(number: int, chance: random.Random) -> tuple[Clause, ...]:
    """Three clauses, of which one names a team of its own."""
    return (
        clause("team", "in", f"team-{number}"),
        clause("account_age_days", "greaterThan", chance.randrange(400)),
        clause("role", "in", "user", "admin"),
    )


def definitions(
    make: Callable[[int, random.Random], tuple[Clause, ...]], count: int
) -> list[SegmentDefinition]:
    chance = random.Random(count)
    return [
        SegmentDefinition(key=f"segment-{number}", rules=(Rule(clauses=make(number, chance)),))
        for number in range(count)
    ]


def flagsmith_context(found: list[SegmentDefinition]) -> Any:
    """The same segments and user in flagsmith-engine's own format."""
    traits = {name: value for name, value in USER.items() if name != "key"}
    return {
        "environment": {"key": "benchmark", "name": "benchmark"},
        "identity": {"identifier": USER["key"], "key": USER["key"], "traits": traits},
        "segments": {
            definition.key: {
                "key": definition.key,
                "name": definition.key,
                "rules": [
                    {"type": "ALL", "conditions": [_condition(part) for part in rule.clauses]}
                    for rule in definition.rules
                ],
            }
            for definition in found
        },
        "features": {},
    }


def _condition(part: Clause) -> dict[str, Any]:
    value = list(part.values) if part.op == "in" else str(part.values[0])
    return {
        "property": part.attribute,
        "operator": FLAGSMITH_OPERATORS[part.op],
        "value": value,
    }


class PlainRules:
    """Stands in for `RuleIndex`: each compiled rule is tried in turn."""

    def __init__(self, rules: Iterable[tuple[str, CompiledRule]]) -> None:
        self._rules = [
            (key, held)
            for key, rule in rules
            if not rule.dead and (held := conjunction([part.held for part in rule.clauses]))
        ]

    def collect(self, attributes: Attributes, matched: set[str], now: int) -> None:
        for key, held in self._rules:
            if key not in matched and held(attributes, matched, now):
                matched.add(key)


def seconds(work: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times


def measure(name: str, count: int) -> Figure:
    """Time both sides in turns, after making sure that they agree."""
    found = definitions({"general": general, "selective": selective}[name], count)
    start = time.perf_counter()
    ruleset = Ruleset(found)
    compile_ms = (time.perf_counter() - start) * 1e3
    with patch("featureflags.segments.ruleset.RuleIndex", PlainRules):
        without_index = Ruleset(found)
    context = flagsmith_context(found)

    def plain() -> frozenset[str]:
        return without_index.match(USER, now=0)

    def ours() -> frozenset[str]:
        return ruleset.match(USER, now=0)

    def theirs() -> Any:
        return get_evaluation_result(context)

    names = {segment["name"] for segment in theirs()["segments"]}
    if names != ours() or names != plain():
        raise SystemExit(
            f"{name}, {count}: not the same: {sorted(names)}, {sorted(ours())}, {sorted(plain())}"
        )
    best_ours = best_plain = best_theirs = float("inf")
    for _ in range(RUNS):
        best_ours = min(best_ours, seconds(ours, 20_000 // count + 20))
        best_plain = min(best_plain, seconds(plain, 20_000 // count + 20))
        best_theirs = min(best_theirs, seconds(theirs, 2_000 // count + 2))
    return Figure(
        rules=name,
        segments=count,
        ours=round(best_ours * 1e6, 2),
        plain=round(best_plain * 1e6, 2),
        flagsmith=round(best_theirs * 1e6, 1),
        ratio=round(best_theirs / best_ours, 1),
        compile_ms=round(compile_ms, 1),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    chosen = parser.parse_args()
    gc.disable()
    figures = [measure(name, size) for name in ("general", "selective") for size in SIZES]
    print(
        f"{'rules':<10} {'segments':>8} {'ours µs':>9} {'plain µs':>9} {'flagsmith µs':>13} {'× faster':>9}"
    )
    for figure in figures:
        print(
            f"{figure.rules:<10} {figure.segments:>8} {figure.ours:>9} {figure.plain:>9} {figure.flagsmith:>13} "
            f"{figure.ratio:>9}   (compiled in {figure.compile_ms} ms)"
        )
    print(f"aim: {AIM_AT_100} times faster at 100 segments, general rules")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")


if __name__ == "__main__":
    main()
