"""What `impact` runs once it has a database: it fills the users, and measures."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import django

django.setup()

# ruff: noqa: E402 - models can be imported only now
from django.db import connection

from featureflags.audience.impact import SAMPLES, impact_of
from featureflags.cache.compiled_rules import current_ruleset
from featureflags.core.times import now_in_microseconds
from featureflags.segments.parsing import parse_definition
from featureflags.segments.ruleset import Ruleset
from tests.benchmarks.filling import fill
from tests.factories import clause, rule
from users.models import User

RUNS = 5
KEY = "previewed"
ENOUGH_SECONDS = 600.0

CHANGES = {
    "one value more (metadata)": (
        [rule(clause("custom_plan", "in", "pro"))],
        [rule(clause("custom_plan", "in", "pro", "team"))],
    ),
    "four conditions, new": (
        [],
        [
            rule(
                clause("custom_plan", "in", "pro", "team"),
                clause("custom_country", "in", "DE"),
                clause("created_at", "after", "2026-01-01T00:00:00Z"),
                clause("name", "contains", "intern", negate=True),
            )
        ],
    ),
    "domain and verified, new": (
        [],
        [rule(clause("email_domain", "in", "agpt.co"), clause("email_verified", "in", True))],
    ),
    "another number of days": (
        [rule(clause("account_age_days", "greaterThan", 30))],
        [rule(clause("account_age_days", "greaterThan", 7))],
    ),
    "a negation, or a role": (
        [rule(clause("role", "in", "admin"))],
        [
            rule(clause("custom_plan", "in", "free", negate=True)),
            rule(clause("role", "in", "admin")),
        ],
    ),
    "another segment, or a text": (
        [],
        [rule(clause("", "segmentMatch", "employee")), rule(clause("email", "startsWith", "ada."))],
    ),
    "a number in metadata, new": (
        [],
        [
            rule(
                clause("custom_age", "greaterThanOrEqual", 21),
                clause("days_since_last_seen", "lessThan", 30),
            )
        ],
    ),
    "nobody": ([], [rule(clause("name", "contains", "zzz"))]),
}
"""Rules before and after. The metadata and the ages are those of `users.demo.random_users`."""

Numbers = tuple[int, int, int, int]


class Change:
    """One change, asked in both ways at the same moment."""

    def __init__(self, before: list[object], after: list[object]) -> None:
        self.now = now_in_microseconds()
        self.old, self.new = (
            parse_definition({"key": KEY, "rules": rules}) for rules in (before, after)
        )
        known = current_ruleset().ruleset
        self.before: Ruleset = known.evolve([*known.definitions.values(), self.old], version=0)

    def preview(self) -> Numbers:
        found = impact_of(self.new, before=self.before, now=self.now, seconds=ENOUGH_SECONDS)
        parts = (found.users, found.matching, found.entering, found.leaving)
        users, matching, entering, leaving = (part.at_least for part in parts)
        return users, matching, entering, leaving

    def one_by_one(self) -> Numbers:
        old = User.objects.in_segment(self.old, now=self.now)
        new = User.objects.in_segment(self.new, now=self.now)
        entering = User.objects.not_in_segment(self.old, now=self.now).in_segment(
            self.new, now=self.now
        )
        leaving = old.not_in_segment(self.new, now=self.now)
        for users in (new, entering, leaving):
            list(users.values_list("pk", "email", "name")[:SAMPLES])
        return User.objects.count(), new.count(), entering.count(), leaving.count()


def measured(change: Change) -> tuple[float, float]:
    """The best seconds of a preview, and of a query for each number, after they agreed."""
    numbers = (change.preview(), change.one_by_one())
    if numbers[0] != numbers[1]:
        raise SystemExit(f"they disagree: {numbers}")
    best = [float("inf"), float("inf")]
    for _ in range(RUNS):
        for place, way in enumerate((change.preview, change.one_by_one)):
            started = time.perf_counter()
            way()
            best[place] = min(best[place], time.perf_counter() - started)
    return best[0], best[1]


def main(users: int, file: str) -> None:
    print(f"{users:,} users in {fill(users):.0f} s, {connection.vendor}")
    print(f"{'change':<28}{'preview':>10}{'one by one':>13}")
    figures: dict[str, dict[str, float]] = {}
    for name, (before, after) in CHANGES.items():
        preview, one_by_one = measured(Change([*before], [*after]))
        figures[name] = {"preview": preview, "one_by_one": one_by_one}
        ratio = one_by_one / preview
        print(f"{name:<28}{preview * 1000:>7,.0f} ms{one_by_one * 1000:>10,.0f} ms{ratio:>8.1f} ×")
    slowest = max(found["preview"] for found in figures.values())
    print(f"aim: each preview takes less than a second (the slowest: {slowest * 1000:,.0f} ms)")
    if file:
        result = {"users": users, "slowest": slowest, "seconds": figures}
        Path(file).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
