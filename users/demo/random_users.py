"""Random users that are the same every time: a larger number begins with the same users.

Uses neither the database nor the ORM. Addresses are in domains that RFC 2606 reserves, except the
employees', so that no mail reaches a real person.
"""

from __future__ import annotations

import datetime
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

BLOCK = 1000
"""Users that share one random generator: a block can be made without those before it."""

EMPLOYEE_DOMAIN = "agpt.co"
DOMAINS = ("example.com", "example.org", "example.net", EMPLOYEE_DOMAIN)
DOMAIN_SHARES = (60, 85, 98, 100)
ROLES = ("user", "admin", "system")
ROLE_SHARES = (970, 990, 1000)
PLANS = ("free", "basic", "pro", "team")
PLAN_SHARES = (60, 80, 95, 100)
"""Shares are cumulative: what `random.choices` would otherwise add up for each user."""
COUNTRIES = ("US", "DE", "FR", "GB", "IN", "BR", "JP", "NG", "PL", "ES")
FIRST_NAMES = ("Ada", "Ben", "Chen", "Dora", "Emeka", "Fatima", "Gita", "Hugo", "Ines", "Jonas")
LAST_NAMES = ("Abe", "Berg", "Costa", "Diaz", "Eze", "Fox", "Gupta", "Hahn", "Ito", "Jansen")

VERIFIED_SHARE = 0.8
NEVER_SEEN_SHARE = 0.1
INACTIVE_SHARE = 0.02
NEW_SHARE = 0.1
"""Accounts of at most 40 days, so that the segments by age have members."""
NEW_DAYS = 40
OLD_DAYS = 2000
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomUser:
    """The columns of one user; instants are aware datetimes."""

    id: uuid.UUID
    email: str
    email_verified: bool
    name: str
    role: str
    metadata: dict[str, Any]
    created_at: datetime.datetime
    last_seen_at: datetime.datetime | None
    is_active: bool


def crowd(count: int, now: datetime.datetime) -> Iterator[RandomUser]:
    """The first `count` users of the crowd. Ages are counted back from midnight (UTC) of `now`."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for start in range(0, count, BLOCK):
        source = random.Random(start)  # noqa: S311 - no secret, and it must repeat itself
        for number in range(start, min(start + BLOCK, count)):
            yield _user(source, number, midnight)


def _user(source: random.Random, number: int, midnight: datetime.datetime) -> RandomUser:
    # Every user draws the same numbers in the same order, even those that are not used.
    chance = source.random
    domain = source.choices(DOMAINS, cum_weights=DOMAIN_SHARES)[0]
    days = (NEW_DAYS if chance() < NEW_SHARE else OLD_DAYS) * chance()
    seen = days * chance() ** 3
    age = datetime.timedelta(seconds=int(days * SECONDS_PER_DAY))
    since_seen = datetime.timedelta(seconds=int(seen * SECONDS_PER_DAY))
    first, last = FIRST_NAMES[int(chance() * 10)], LAST_NAMES[int(chance() * 10)]
    return RandomUser(
        id=uuid.UUID(int=source.getrandbits(128), version=4),
        email=f"{first.lower()}.{last.lower()}.{number}@{domain}",
        email_verified=chance() < VERIFIED_SHARE,
        name=f"{first} {last}",
        role=source.choices(ROLES, cum_weights=ROLE_SHARES)[0],
        metadata={
            "plan": source.choices(PLANS, cum_weights=PLAN_SHARES)[0],
            "country": COUNTRIES[int(chance() * len(COUNTRIES))],
            "age": 18 + int(chance() * 63),
        },
        created_at=midnight - age,
        last_seen_at=None if chance() < NEVER_SEEN_SHARE else midnight - since_seen,
        is_active=chance() >= INACTIVE_SHARE,
    )
