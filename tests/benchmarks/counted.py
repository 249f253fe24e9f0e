"""What `counting` runs once it has a database: it fills the users, and measures."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import django

django.setup()

# ruff: noqa: E402 - models can be imported only now
from django.db import connection

from featureflags.audience.sizes import segment_sizes
from featureflags.audience.sql.compiler import compile_segment
from featureflags.core.times import now_in_microseconds, to_datetime
from featureflags.core.types import JSONValue
from featureflags.segments.definitions import Clause, Rule, SegmentDefinition
from featureflags.segments.ruleset import Ruleset
from tests.benchmarks.filling import fill
from users.models import User

RUNS = 5
DAY = 86_400 * 10**6


def has(attribute: str, op: str, *values: JSONValue, negate: bool = False) -> Clause:
    return Clause(attribute=attribute, op=op, values=values, negate=negate)


COMPANY = (has("email_domain", "in", "agpt.co"), has("email_verified", "in", True))

SEGMENTS: dict[str, tuple[tuple[Clause, ...], str]] = {
    "admin": ((has("role", "in", "admin"),), "role = 'admin'"),
    "user": ((has("role", "in", "user"),), "role = 'user'"),
    "system": ((has("role", "in", "system"),), "role = 'system'"),
    "employee": (COMPANY, "domain = 'agpt.co' AND email_verified"),
    "partner": (
        (has("email_domain", "in", "example.net", "example.org"),),
        "domain IN ('example.net', 'example.org')",
    ),
    "outside": (
        (has("email_domain", "in", "agpt.co", negate=True),),
        "domain IS NOT NULL AND domain <> 'agpt.co'",
    ),
    "new": ((has("account_age_days", "lessThan", 7),), "created_at > %(day7)s"),
    "recent": (
        (
            has("account_age_days", "greaterThanOrEqual", 7),
            has("account_age_days", "lessThanOrEqual", 30),
        ),
        "created_at <= %(day7)s AND created_at > %(day31)s",
    ),
    "established": ((has("account_age_days", "greaterThan", 30),), "created_at <= %(day31)s"),
    "seen": ((has("days_since_last_seen", "lessThan", 7),), "last_seen_at > %(day7)s"),
    "asleep": ((has("days_since_last_seen", "greaterThan", 30),), "last_seen_at <= %(day31)s"),
    "never_seen": (
        (Clause(attribute="last_seen_at", op="exists", values=(True,), negate=True),),
        "last_seen_at IS NULL",
    ),
    "paying": ((has("custom_plan", "in", "pro", "team"),), "plan IN ('pro', 'team')"),
    "free": ((has("custom_plan", "in", "free"),), "plan = 'free'"),
    "germany": ((has("custom_country", "in", "DE"),), "country = 'DE'"),
    "europe": (
        (has("custom_country", "in", "DE", "FR", "GB", "PL", "ES"),),
        "country IN ('DE', 'FR', 'GB', 'PL', 'ES')",
    ),
    "paying_in_germany": (
        (has("custom_plan", "in", "pro", "team"), has("custom_country", "in", "DE")),
        "plan IN ('pro', 'team') AND country = 'DE'",
    ),
    "grown_up": ((has("custom_age", "greaterThanOrEqual", 21),), "age >= 21"),
    "new_and_paying": (
        (has("account_age_days", "lessThan", 7), has("custom_plan", "in", "pro", "team")),
        "created_at > %(day7)s AND plan IN ('pro', 'team')",
    ),
    "ada": ((has("email", "startsWith", "ada."),), "email LIKE 'ada.%%'"),
}

PEOPLE = """\
SELECT email, email_verified, role, created_at, last_seen_at,
    SPLIT_PART(email, '@', -1) AS domain, {keys}
FROM users_user"""

BY_HAND = "SELECT {counts} FROM ({people} UNION ALL {people} WHERE FALSE) AS people"
"""The union keeps PostgreSQL from looking each key up anew, and lets workers share the pass."""

KEY_BY_HAND = """\
CASE WHEN JSONB_TYPEOF(metadata -> '{key}') = '{kind}' THEN {value} END AS {key},
CASE WHEN JSONB_TYPEOF(metadata -> '{key}') = 'array' THEN TRUE END AS {key}_is_list"""
"""As one would write it who minds the types of JSON. That no list is there is counted, too."""

KEY_ON_TRUST = "{value} AS {key}"
"""As one would write it who knows that each key has one type."""

KEYS = {
    "plan": ("string", "metadata ->> 'plan'"),
    "country": ("string", "metadata ->> 'country'"),
    "age": ("number", "(metadata ->> 'age')::float8"),
}


INDEX_SCANS = ("enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan")


class Ways:
    """The ways to count, each of which gives the sizes in the order of `SEGMENTS`."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.ruleset = Ruleset(
            SegmentDefinition(key=key, rules=(Rule(clauses=clauses),))
            for key, (clauses, _) in SEGMENTS.items()
        )

    def one_pass(self) -> list[int]:
        found = segment_sizes(now=self.now, ruleset=self.ruleset, finish=False)
        counts = {size.key: size.at_least for size in found.sizes}
        return [counts[key] for key in SEGMENTS]

    def by_hand(self) -> list[int]:
        lists = " OR ".join(f"{key}_is_list" for key in KEYS)
        return self._written(KEY_BY_HAND, [written for _, written in SEGMENTS.values()] + [lists])[
            : len(SEGMENTS)
        ]

    def on_trust(self) -> list[int]:
        return self._written(KEY_ON_TRUST, [written for _, written in SEGMENTS.values()])

    def _written(self, key_form: str, conditions: list[str]) -> list[int]:
        counts = ", ".join(f"COUNT(*) FILTER (WHERE {written})" for written in conditions)
        keys = ", ".join(
            key_form.format(key=key, kind=kind, value=value) for key, (kind, value) in KEYS.items()
        )
        days = {f"day{n}": to_datetime(self.now - n * DAY) for n in (7, 31)}
        with connection.cursor() as cursor:
            people = PEOPLE.format(keys=keys)
            cursor.execute(BY_HAND.format(counts=counts, people=people), days)
            return list(cursor.fetchone())

    def one_by_one(self) -> list[int]:
        return [
            User.objects.filter(compile_segment(self.ruleset, key, now=self.now).lower).count()
            for key in SEGMENTS
        ]

    def one_by_one_scanned(self) -> list[int]:
        """As one by one, where no index serves a rule: each count reads all users."""
        with connection.cursor() as cursor:
            for kind in INDEX_SCANS:
                cursor.execute(f"SET {kind} = off")
        try:
            return self.one_by_one()
        finally:
            with connection.cursor() as cursor:
                for kind in INDEX_SCANS:
                    cursor.execute(f"RESET {kind}")


def best(ways: dict[str, Callable[[], list[int]]]) -> dict[str, float]:
    """The best time of each way in seconds, after making sure that they agree."""
    answers = {name: way() for name, way in ways.items()}
    if len({tuple(answer) for answer in answers.values()}) != 1:
        raise SystemExit(f"they disagree: {answers}")
    times: dict[str, float] = dict.fromkeys(ways, float("inf"))
    for _ in range(RUNS):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            times[name] = min(times[name], time.perf_counter() - started)
    return times


def main(users: int, file: str) -> None:
    print(f"{users:,} users in {fill(users):.0f} s, {len(SEGMENTS)} segments, PostgreSQL")
    ways = Ways(now_in_microseconds())
    times = best(
        {
            "one pass": ways.one_pass,
            "by hand": ways.by_hand,
            "on trust": ways.on_trust,
            "one by one": ways.one_by_one,
            "without index": ways.one_by_one_scanned,
        }
    )
    for name, seconds in times.items():
        print(f"{name:<14} {seconds * 1000:>9,.0f} ms   {seconds / times['one pass']:>5.2f} ×")
    to_hand = times["one pass"] / times["by hand"]
    faster = times["one by one"] / times["one pass"]
    scanned = times["without index"] / times["one pass"]
    print(f"aim: one pass takes at most 1.1 of the SQL by hand ({to_hand:.2f}),")
    print(f"     and is 3 times faster than one by one without indexes ({scanned:.1f});")
    print(f"     with them, which serve many of the single counts: {faster:.1f}")
    if file:
        figures = {
            "users": users,
            "seconds": times,
            "to_hand": to_hand,
            "faster": faster,
            "scanned": scanned,
        }
        Path(file).write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
