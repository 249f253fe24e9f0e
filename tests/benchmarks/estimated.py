"""What `estimates` runs once it has a database: it fills the users, and measures."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import django

django.setup()

# ruff: noqa: E402 - models can be imported only now
from django.core.management import call_command
from django.db import connection

from featureflags.audience import day_sample
from featureflags.audience.comparison import Comparison
from featureflags.audience.estimates import preview_of
from featureflags.audience.impact import Measured, impact_of
from featureflags.audience.intervals import estimated
from featureflags.audience.parts import Impact
from featureflags.audience.sql.statement_timeout import TimeLimit
from featureflags.cache.compiled_rules import current_ruleset
from featureflags.core.times import now_in_microseconds
from featureflags.kinds.registry import user_kind
from featureflags.segments.parsing import parse_definition
from tests.factories import clause, rule

RUNS = 5
DRAWS = 50
FEW_DRAWS = 10
"""Samples that are drawn for the coverage: a draw reads the whole table."""
KEY = "previewed"
ENOUGH_SECONDS = 600.0
AT_ONCE = 1_000_000
PARTS = ("matching", "entering", "leaving")
Rules = list[Any]

FILL = """
INSERT INTO users_user (id, password, is_superuser, email, email_verified, name, role, metadata,
                        created_at, last_seen_at, is_active, is_staff)
SELECT gen_random_uuid(), '!seeded', false,
       'user' || n || CASE WHEN n %% 5000 = 17 THEN '@agpt.co' ELSE '@example.com' END,
       random() < 0.8, (ARRAY['Ada','Ben','Chen','Dora'])[1 + n %% 4] || ' ' || n,
       CASE WHEN random() < 0.02 THEN 'admin' ELSE 'user' END,
       jsonb_build_object(
           'plan', CASE WHEN n BETWEEN %(run)s AND %(run)s + 1999 THEN 'imported'
                        WHEN random() < 0.2 THEN 'pro' ELSE 'free' END,
           'country', (ARRAY['US','DE','FR','GB','IN'])[1 + floor(random() * 5)],
           'age', 18 + floor(random() * 63)),
       now() - make_interval(secs => 2000 * 86400.0 * (1 - n / %(total)s::float8)),
       now() - make_interval(secs => 2000 * 86400.0 * (1 - n / %(total)s::float8) * power(random(), 3)),
       random() < 0.98, false
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""
"""In the order of time, in which blocks of the table hold users of one age."""

RULES: dict[str, tuple[Rules, Rules]] = {
    "a plan (20 %)": ([], [rule(clause("custom_plan", "in", "pro"))]),
    "three conditions (2 %)": (
        [],
        [
            rule(
                clause("custom_plan", "in", "pro"),
                clause("custom_country", "in", "DE"),
                clause("account_age_days", "greaterThan", 1000),
            )
        ],
    ),
    "created in the last 100 days": ([], [rule(clause("account_age_days", "lessThan", 100))]),
    "seen in the last 30 days": ([], [rule(clause("days_since_last_seen", "lessThan", 30))]),
    "a text": ([], [rule(clause("name", "contains", "da 1"))]),
    "another number of days": (
        [rule(clause("account_age_days", "greaterThan", 30))],
        [rule(clause("account_age_days", "greaterThan", 90))],
    ),
    "another plan": (
        [rule(clause("custom_plan", "in", "pro"))],
        [rule(clause("custom_country", "in", "DE", "FR"))],
    ),
    "rare, with an index": ([], [rule(clause("email_domain", "in", "agpt.co"))]),
    "rare, a run of imported ones": ([], [rule(clause("custom_plan", "in", "imported"))]),
    "nobody": ([], [rule(clause("name", "contains", "zzz"))]),
}


def fill(total: int) -> float:
    """Migrate and create the users; in seconds. The indexes are made at the end."""
    began = time.perf_counter()
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'users_user'"
            " AND indexname NOT IN (SELECT conname FROM pg_constraint)"
        )
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f'DROP INDEX "{name}"')
        for first in range(1, total + 1, AT_ONCE):
            last = min(first + AT_ONCE - 1, total)
            cursor.execute(
                FILL, {"first": first, "last": last, "total": total, "run": total * 3 // 10}
            )
        cursor.execute("SET maintenance_work_mem = '512MB'")
        for _, made in indexes:
            cursor.execute(made)
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute("VACUUM ANALYZE users_user")
    return time.perf_counter() - began


class Change:
    """One change of rules, at one moment."""

    def __init__(self, before: Rules, after: Rules) -> None:
        self.now = now_in_microseconds()
        known = current_ruleset().ruleset
        old, self.new = (parse_definition({"key": KEY, "rules": one}) for one in (before, after))
        self.before = known.evolve([*known.definitions.values(), old], version=0)
        self.parts = PARTS if before else PARTS[:1]

    def quick(self) -> Impact:
        return preview_of(self.new, before=self.before, now=self.now, quick=True)

    def exact(self) -> Impact:
        return impact_of(self.new, before=self.before, now=self.now, seconds=ENOUGH_SECONDS)

    def hits(self, part: int) -> Impact:
        """What one part of the sample has."""
        comparison = Comparison.with_definition(self.new, before=self.before, now=self.now)
        sample = day_sample.day_sample(user_kind())
        assert sample is not None
        limit = TimeLimit(connection.alias, ENOUGH_SECONDS)
        measured = Measured(comparison, limit, sample.rows(part), are_few=True)
        return measured.result(is_exact=measured.count())


def shown(found: Impact, name: str) -> str:
    part = getattr(found, name)
    if part.estimate is None:
        return f"{part.at_least:,}" if part.is_exact else f"at least {part.at_least:,}"
    return f"{part.estimate.about:,} ({part.estimate.low:,} to {part.estimate.high:,})"


def timed(change: Change) -> tuple[Impact, float, Impact, float]:
    """The quick preview and the exact one, each with its median in seconds."""
    found = change.quick()
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        change.quick()
        took.append(time.perf_counter() - began)
    began = time.perf_counter()
    truth = change.exact()
    return found, statistics.median(took), truth, time.perf_counter() - began


def coverage(changes: dict[str, Change], truths: dict[str, Impact], draws: int) -> dict[str, float]:
    """By rule, the share of the intervals of fresh samples that hold the exact number."""
    held: dict[str, list[bool]] = {name: [] for name in changes}
    for number in range(draws):
        # Another day is another sample.
        day_sample.draw(user_kind(), day=f"draw-{number}")
        for name, change in changes.items():
            found = change.hits(day_sample.MIDDLE)
            for part in change.parts:
                estimate = estimated(
                    getattr(found, part).at_least,
                    found.users.at_least,
                    truths[name].users.at_least,
                )
                true = getattr(truths[name], part).at_least
                held[name].append(estimate.low <= true <= estimate.high)
    return {name: sum(found) / len(found) for name, found in held.items()}


def main(users: int, file: str) -> None:
    print(f"{users:,} users in {fill(users):.0f} s, {connection.vendor}", flush=True)
    began = time.perf_counter()
    day_sample.draw(user_kind())
    drawn = time.perf_counter() - began
    print(f"the sample of the day is drawn in {drawn:.1f} s, each hour", flush=True)
    changes = {name: Change(before, after) for name, (before, after) in RULES.items()}
    figures: dict[str, Any] = {}
    truths: dict[str, Impact] = {}
    for name, change in changes.items():
        found, quick, truth, exact = timed(change)
        truths[name] = truth
        figures[name] = {"quick": quick, "exact": exact}
        print(f"{name:<30}{quick * 1000:>6,.0f} ms, exactly {exact * 1000:>7,.0f} ms", flush=True)
        for part in change.parts:
            print(f"    {part:<9} {shown(found, part)}; exactly {shown(truth, part)}", flush=True)
    draws = DRAWS if users <= AT_ONCE else FEW_DRAWS
    for name, share in coverage(changes, truths, draws).items():
        figures[name]["coverage"] = share
        print(f"{name:<30}{share:>7.1%} of the intervals of {draws} samples hold", flush=True)
    slowest = max(found["quick"] for found in figures.values())
    print(f"aim: each estimate within 300 ms (the slowest: {slowest * 1000:,.0f} ms)")
    if file:
        result = {"users": users, "drawn": drawn, "slowest": slowest, "rules": figures}
        Path(file).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
