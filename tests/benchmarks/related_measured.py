"""What `related` runs once it has its servers: it fills them, and measures."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import django

django.setup()

# ruff: noqa: E402 - models can be imported only now
from django.conf import settings
from django.core.cache import caches
from django.db import connection
from redis import Redis

from featureflags.audience.impact import SAMPLES, impact_of
from featureflags.audience.sizes import segment_sizes
from featureflags.cache.compiled_rules import current_ruleset
from featureflags.cache.entries import HEAD
from featureflags.core.times import now_in_microseconds, to_datetime
from featureflags.kinds.registry import user_kind
from featureflags.models import Segment
from featureflags.segments.definitions import SegmentDefinition
from featureflags.segments.parsing import parse_definition
from featureflags.segments.ruleset import Ruleset
from featureflags.warming.progress import report
from featureflags.warming.runs import begin
from featureflags.warming.scope import Scope
from featureflags.warming.worker import work_on
from tests.benchmarks.handwritten import Handwritten
from tests.benchmarks.related_rows import (
    JOINED,
    PEOPLE,
    JoinedKind,
    OwnKind,
    PersonKind,
    ShopperKind,
    fill,
)
from tests.factories import clause, rule
from tests.featureflags.kinds.conftest import declared

RUNS: Final = 5
DAY: Final = 86_400 * 10**6
AIMS: Final = {
    "warming with two joins, to the pipeline by hand": ("at least", 0.4),
    "warming with integer keys, to UUIDs": ("at least", 0.97),
    "counting, to the SQL by hand": ("at most", 1.1),
    "the slowest preview, to the SQL by hand": ("at most", 1.1),
}
ENOUGH_SECONDS: Final = 600.0
KEY: Final = "previewed"

IN_TIME: Final = (
    f"CLOCK_TIMESTAMP() < STATEMENT_TIMESTAMP() + MAKE_INTERVAL(secs => {ENOUGH_SECONDS})"
)
SINCE: Final = "last_order > %(day30)s"
SEGMENTS: Final[Mapping[str, tuple[list[dict[str, Any]], str]]] = {
    "pro": ([clause("plan", "in", "pro")], "plan = 'pro'"),
    "free": ([clause("plan", "in", "free")], "plan = 'free'"),
    "german": ([clause("country", "in", "DE")], "country = 'DE'"),
    "large": ([clause("seats", "greaterThan", 50)], "seats > 50"),
    "alone": ([clause("company", "exists", True, negate=True)], "company IS NULL"),
    "first": ([clause("company", "startsWith", "Company 1")], "company LIKE 'Company 1%%'"),
    "pro_of_large": (
        [clause("plan", "in", "pro"), clause("seats", "greaterThan", 50)],
        "plan = 'pro' AND seats > 50",
    ),
    "ordered": ([clause("days_since_order", "lessThan", 30)], SINCE),
    "never_ordered": ([clause("last_order_at", "exists", True, negate=True)], "last_order IS NULL"),
    "buyers": (
        [
            clause("plan", "in", "pro"),
            clause("seats", "greaterThan", 50),
            clause("days_since_order", "lessThan", 30),
        ],
        f"plan = 'pro' AND seats > 50 AND {SINCE}",
    ),
}
CHANGES: Final = {
    "one plan more": ("pro", "free"),
    "pro, and of large companies": ("pro", "pro_of_large"),
    "large, and not alone": ("first", "large"),
    "who ordered lately": ("pro_of_large", "buyers"),
}
"""Segments before and after."""


def best(
    ways: Mapping[str, Callable[[], object]], *, before: Callable[[], object]
) -> dict[str, float]:
    """The best seconds of each way, in turns; `before` is done each time and not measured."""
    times = dict.fromkeys(ways, float("inf"))
    for _ in range(RUNS):
        for name, way in ways.items():
            before()
            started = time.perf_counter()
            way()
            times[name] = min(times[name], time.perf_counter() - started)
    return times


def server() -> Redis:
    """The cache's, by a connection without a deadline: a million entries take seconds."""
    return Redis.from_url(settings.CACHES["featureflags"]["LOCATION"])


def flush() -> None:
    server().flushall()


def warm() -> int:
    """As `warm_contexts --all`."""
    begun = begin(Scope(days=None))
    work_on(begun)
    ended = report(begun.run)
    if not ended.succeeded:
        raise SystemExit(str(ended))
    return ended.written


def stored() -> dict[bytes, bytes]:
    """The entries of the users without their time."""
    redis: Any = server()
    names = sorted(redis.scan_iter(match="*u:*", count=10_000))
    return {name: value[HEAD:] for name, value in zip(names, redis.mget(names), strict=True)}


def warmed(users: int) -> dict[str, float]:
    """Users a second: with two joins and by hand, with integer keys and with UUIDs."""
    seconds: dict[str, float] = {}
    with declared(JoinedKind):
        prefix = caches["featureflags"].make_key("").encode()
        by_hand = Handwritten(user_kind().fingerprint, JOINED, prefix=prefix)
        same = []
        for way in (by_hand, warm):
            flush()
            if (written := way()) != users:
                raise SystemExit(f"{written} written, not {users}")
            same.append(stored())
        if same[0] != same[1] or len(same[0]) != users:
            raise SystemExit("what is written by hand is not the same as ours")
        seconds |= best({"two joins": warm, "two joins by hand": by_hand}, before=flush)
    for _ in range(2):
        for name, kind in (("integer keys", OwnKind), ("UUIDs", PersonKind)):
            with declared(kind):
                took = best({name: warm}, before=flush)
                seconds[name] = min(seconds.get(name, took[name]), took[name])
    return {name: users / took for name, took in seconds.items()}


def definition(key: str, *clauses: dict[str, Any]) -> SegmentDefinition:
    return parse_definition({"key": key, "rules": [rule(*clauses)]})


class Counted:
    """Numbers by our statement, and by one that is written by hand, at one moment."""

    def __init__(self) -> None:
        self.now = now_in_microseconds()
        self.days = {"day30": to_datetime(self.now - 30 * DAY)}
        self.ruleset = Ruleset(definition(key, *found) for key, (found, _) in SEGMENTS.items())

    def ours(self) -> list[int]:
        found = segment_sizes(now=self.now, ruleset=self.ruleset, finish=False)
        counts = {size.key: size.at_least for size in found.sizes}
        return [counts[key] for key in SEGMENTS]

    def by_hand(self) -> list[int]:
        return self._counts([written for _, written in SEGMENTS.values()])

    def _counts(self, conditions: list[str], where: str = "TRUE") -> list[int]:
        counts = ", ".join(f"COUNT(*) FILTER (WHERE {written})" for written in conditions)
        statement = f"SELECT {counts} FROM ({fenced(conditions)}) AS people WHERE {where}"
        with connection.cursor() as cursor:
            cursor.execute(statement, self.days)
            return list(cursor.fetchone())

    def preview(self, old: str, new: str) -> list[int]:
        before = Ruleset([definition(KEY, *SEGMENTS[old][0])])
        after = definition(KEY, *SEGMENTS[new][0])
        found = impact_of(after, before=before, now=self.now, seconds=ENOUGH_SECONDS)
        parts = (found.users, found.matching, found.entering, found.leaving)
        return [part.at_least for part in parts]

    def preview_by_hand(self, old: str, new: str) -> list[int]:
        """The numbers in one statement, and some of each part, as a page shows them.

        A page must end in time, and then shows what it has counted so far: so this reads the clock for each
        row too.
        """
        was, is_now = (f"({SEGMENTS[key][1]}) IS TRUE" for key in (old, new))
        moved = [is_now, f"{is_now} AND NOT {was}", f"{was} AND NOT {is_now}"]
        with connection.cursor() as cursor:
            for condition in moved:
                some = f"SELECT id, username FROM ({PEOPLE}) AS people WHERE {condition}"
                cursor.execute(f"{some} LIMIT {SAMPLES}", self.days)
                cursor.fetchall()
        return self._counts(["TRUE", *moved], where=IN_TIME)


def fenced(conditions: list[str]) -> str:
    """With each subquery computed once for each user; only with the joins that are asked for."""
    people = PEOPLE if any("last_order" in each for each in conditions) else without_orders()
    return f"{people} UNION ALL {people} WHERE FALSE"


def without_orders() -> str:
    lines = PEOPLE.splitlines()
    return "\n".join([lines[0].rstrip(","), *(line for line in lines[1:] if "MAX" not in line)])


def counted() -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Seconds of the counts, and of each preview."""
    with declared(ShopperKind):
        found = Counted()
        agree(found.ours(), found.by_hand())
        counts = best({"ours": found.ours, "by hand": found.by_hand}, before=lambda: None)
        previews = {}
        for name, (old, new) in CHANGES.items():
            agree(found.preview(old, new), found.preview_by_hand(old, new))
            previews[name] = best(
                {
                    "ours": lambda old=old, new=new: found.preview(old, new),  # type: ignore[misc]
                    "by hand": lambda old=old, new=new: found.preview_by_hand(old, new),  # type: ignore[misc]
                },
                before=lambda: None,
            )
    return counts, previews


def agree(ours: list[int], by_hand: list[int]) -> None:
    if ours != by_hand:
        raise SystemExit(f"they disagree: {ours}, {by_hand}")


def main(users: int, file: str) -> None:
    print(f"{users:,} users in {fill(users):.0f} s")
    Segment.objects.all().delete()
    current_ruleset()
    rates = warmed(users)
    for name, rate in rates.items():
        print(f"warming, {name:<24} {rate:>9,.0f} users a second", flush=True)
    counts, previews = counted()
    for name, times in {"ten segments counted": counts, **previews}.items():
        ours, by_hand = times["ours"], times["by hand"]
        print(
            f"{name:<32} {ours * 1000:>7,.0f} ms, by hand {by_hand * 1000:>7,.0f} ms"
            f" {ours / by_hand:>6.2f} ×",
            flush=True,
        )
    ratios = {
        "warming with two joins, to the pipeline by hand": rates["two joins"]
        / rates["two joins by hand"],
        "warming with integer keys, to UUIDs": rates["integer keys"] / rates["UUIDs"],
        "counting, to the SQL by hand": counts["ours"] / counts["by hand"],
        "the slowest preview, to the SQL by hand": max(
            times["ours"] / times["by hand"] for times in previews.values()
        ),
    }
    for name, ratio in ratios.items():
        print(f"{name:<48} {ratio:>6.2f}   ({' '.join(map(str, AIMS[name]))})")
    if file:
        result = {
            "users": users,
            "rates": rates,
            "counts": counts,
            "previews": previews,
            "ratios": ratios,
        }
        Path(file).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
