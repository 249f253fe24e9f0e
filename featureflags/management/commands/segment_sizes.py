"""`segment_sizes`: how many users are in each segment, counted in one pass."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from featureflags.audience import ClauseCost, SegmentSize, clause_costs, segment_sizes
from featureflags.cache.compiled_rules import known_ruleset
from featureflags.core.times import now_in_microseconds
from featureflags.kinds.registry import USER
from featureflags.management.arguments import add_kind, as_json, in_columns, segments_of_kind
from featureflags.management.command import FlagCommand

MOST_EXPLAINED = 5

HELP = """\
Count the users (or rows of another kind) in every segment, in one pass for each kind.

  manage.py segment_sizes
  manage.py segment_sizes --kind organization
  manage.py segment_sizes --estimate     at least and at most, where SQL cannot say a rule
  manage.py segment_sizes --explain      the slowest conditions, and the index that would help
"""


class Command(FlagCommand):
    help = HELP
    takes_json = True

    def add_arguments(self, parser: CommandParser) -> None:
        add_kind(parser)
        parser.add_argument(
            "--estimate",
            action="store_true",
            help="never read rows into Python: give bounds where SQL alone cannot decide",
        )
        parser.add_argument(
            "--explain", action="store_true", help="also run each condition by itself, and time it"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        now, ruleset = now_in_microseconds(), known_ruleset().ruleset
        keys = segments_of_kind(ruleset, options["kind"])
        found = segment_sizes(now=now, ruleset=ruleset, keys=keys, finish=not options["estimate"])
        costs = clause_costs(ruleset, keys, now=now) if options["explain"] else []
        if options["json"]:
            answer: dict[str, Any] = {
                "users": found.rows.get(USER, 0),
                "rows": dict(found.rows),
                "segments": {
                    size.key: {
                        "count": size.count,
                        "at_least": size.at_least,
                        "at_most": size.at_most,
                        "why_inexact": list(size.why_inexact),
                    }
                    for size in found.sizes
                },
            }
            if options["explain"]:
                answer["costs"] = [asdict(cost) for cost in costs]
            self.stdout.write(as_json(answer))
            return
        sizes = [(size.key, _number(size)) for size in found.sizes]
        totals = [(_all_of(name), f"{number:,}") for name, number in sorted(found.rows.items())]
        self.stdout.write("\n".join(in_columns([*sizes, *totals])))
        for line in _explained(costs):
            self.stdout.write(line)


def _all_of(kind: str) -> str:
    return "all users" if kind == USER else f"all of the kind {kind}"


def _number(size: SegmentSize) -> str:
    if size.count is None:
        return f"{size.at_least:,} to {size.at_most:,} ({'; '.join(size.why_inexact)})"
    share = f"  {size.count / size.rows:.1%}" if size.rows else ""
    return f"{size.count:,}{share}"


def _explained(costs: list[ClauseCost]) -> list[str]:
    lines = []
    for number, cost in enumerate(costs[:MOST_EXPLAINED], start=1):
        place = f"{cost.segment_key}, rule {cost.rule}, condition {cost.clause}"
        lines += [
            "",
            f"{'Slowest' if number == 1 else f'{number}.'}: {place} ({cost.milliseconds:,.1f} ms)",
            f"  {cost.words}",
            f"  {cost.advice}",
        ]
    return lines
