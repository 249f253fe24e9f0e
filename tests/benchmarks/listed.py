"""What `members` runs once it has a database: it fills the users, and measures."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import django

django.setup()

# ruff: noqa: E402 - models can be imported only now
from django.db import connection

from featureflags.audience import AudienceFilter, How, SegmentAudience
from featureflags.core.times import now_in_microseconds
from featureflags.kinds.registry import user_kind
from featureflags.segments.parsing import parse_definition
from featureflags.segments.ruleset import Ruleset
from tests.benchmarks.filling import fill
from tests.factories import clause, rule
from users.models import User

RUNS = 5
SIZE = 50

SEGMENTS = {
    "almost everybody (role)": [rule(clause("role", "in", "user"))],
    "one in five (metadata)": [rule(clause("custom_plan", "in", "pro", "team"))],
    "one in fifty (domain)": [
        rule(clause("email_domain", "in", "agpt.co"), clause("email_verified", "in", True))
    ],
    "new accounts (age)": [rule(clause("account_age_days", "lessThan", 7))],
    "a few (metadata and age)": [
        rule(clause("custom_age", "in", 79), clause("account_age_days", "lessThan", 2))
    ],
    "nobody (text)": [rule(clause("name", "contains", "zzz"))],
    "an expression (Python)": [rule(clause("name", "matches", "^(?i:ADA) "))],
}
"""The metadata and the ages are those of `users.demo.random_users`."""

WANTED = {
    "all": AudienceFilter(),
    "name": AudienceFilter(search="jansen"),
    "nobody": AudienceFilter(search="nobody of this name"),
    "rules": AudienceFilter(how=How.BY_RULES),
    "lately": AudienceFilter(entered_days=7),
}


class Listed:
    """One segment, listed by keyset and in the obvious way."""

    def __init__(self, raw_rules: list[object]) -> None:
        self.now = now_in_microseconds()
        self.definition = parse_definition({"key": "listed", "rules": raw_rules})
        self.ruleset = Ruleset([self.definition])
        self.expected: int | None = None
        self.members = User.objects.in_segment(self.definition, now=self.now).order_by("email")

    def page(self, wanted: AudienceFilter, after: str | None = None) -> list[str]:
        roster = SegmentAudience(
            self.ruleset, "listed", now=self.now, wanted=wanted, expected=self.expected
        )
        return [member.user.key for member in roster.page(SIZE, after=after).members]

    def counted(self, offset: int) -> list[str]:
        """A count of all, and rows after so many others, as a paginator asks for them."""
        self.members.count()
        return [user.key for user in user_kind().snapshots(self.members[offset : offset + SIZE])]


def best(way: Callable[[], object]) -> float:
    seconds = []
    for _ in range(RUNS):
        started = time.perf_counter()
        way()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def measured(listed: Listed) -> dict[str, float]:
    count = listed.expected = listed.members.count()
    middle = max(0, count // 2 - 1)
    # The user before the middle, whose key a page in the middle begins behind.
    keys = list(listed.members.values_list("pk", flat=True)[middle : middle + 1])
    after = str(keys[0]) if keys else None
    if listed.page(AudienceFilter()) != listed.counted(0):
        raise SystemExit("they disagree on the first page")
    if after is not None and listed.page(AudienceFilter(), after) != listed.counted(middle + 1):
        raise SystemExit("they disagree on a page in the middle")
    figures = {name: best(partial(listed.page, wanted)) for name, wanted in WANTED.items()}
    figures["middle"] = best(partial(listed.page, AudienceFilter(), after))
    figures["paginator"] = best(partial(listed.counted, middle + 1))
    return {"count": count, **figures}


def main(users: int, file: str) -> None:
    print(f"{users:,} users in {fill(users):.0f} s, {connection.vendor}")
    names = [*WANTED, "middle", "paginator"]
    print(f"{'ms for a page of 50':<26}{'members':>10}" + "".join(f"{name:>11}" for name in names))
    figures: dict[str, dict[str, float]] = {}
    for name, raw_rules in SEGMENTS.items():
        found = figures[name] = measured(Listed([*raw_rules]))
        columns = "".join(f"{found[each] * 1000:>11,.1f}" for each in names)
        print(f"{name:<26}{found['count']:>10,.0f}{columns}", flush=True)
    if file:
        Path(file).write_text(json.dumps({"users": users, "seconds": figures}, indent=2) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
