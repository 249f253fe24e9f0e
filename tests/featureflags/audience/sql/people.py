"""Random odd users in the database, for which Python and SQL must agree.

Their metadata hold what the ORM would refuse as well: numbers beyond a double, numbers that no
Python would write. Rows come from a seeded generator, so that a failure can be repeated.
"""

from __future__ import annotations

import datetime
import json
import random
import uuid
from collections.abc import Sequence
from typing import Any, Final, TypeVar

from django.contrib.auth.models import Group
from django.db import connection

from featureflags.core.types import JSONValue
from users.models import Role, User

Drawn = TypeVar("Drawn")

NOW: Final = 1_750_000_000_000_000
INSTANT: Final = datetime.datetime(2025, 6, 15, 15, 6, 40, tzinfo=datetime.UTC)
"""NOW as a datetime."""

PEOPLE: Final = 80
KEYS: Final = tuple(str(uuid.UUID(int=number * 7919 + 1)) for number in range(PEOPLE))
METADATA_KEYS: Final = ("a", "b", "2024", "a__b", "a.b", "/a", 'q"x', "é", "", "o")

TEXTS: Final = (
    "a",
    "A",
    "ab",
    "b",
    "bA",
    "é",
    "aé",
    "",
    "1",
    "true",
    "abc",
    "ca",
    "null",
    "\\",
    "%",
    *("10.1.2.3", "::ffff:10.1.2.4", "2001:db8::1", "10.1.2.3:80", "010.1.2.3"),
    *("É", "AÉ", "ß", "ẞ", "\N{KELVIN SIGN}", "k", "σ", "ς", "ΟΣ", "ÉÉÉÉÉÉÉ", "ééééééé"),
)
NUMBERS: Final[tuple[Any, ...]] = (
    *(0, 1, 1.0, -1, 2, 3, -3, 0.5, -0.0, 2.5, 0.1, 0.30000000000000004, 5e-324, 1e308),
    *(
        2**53,
        2**53 + 1,
        float(2**53),
        2**63 - 1,
        -(2**63),
        2**63,
        2**64,
        10**22,
        10**23,
        1e22,
        1e23,
    ),
)
HUGE: Final = 10**400
DATES: Final = (
    *("2025-01-31T12:00:00Z", "2025-01-31T12:00:00.000001Z", "2025-01-31 12:00:00z"),
    *("2025-01-31T13:00:00+01:00", "2025-01-31T12:00:00", "2025-01-31", "1738324800000"),
    *(1738324800000, 1738324800000.5, 1738324799999, "2025-02-30T12:00:00Z"),
    # Near NOW, for dates that move.
    *(1_750_000_000_000, 1_749_999_999_999.999, 1_748_790_400_000, "2025-06-01T00:00:00Z"),
    *("1990-06-15", "2024-02-29", "2025-06-15", "1800-06-15", "2025-05-31T23:00:00-00:00"),
    *("2025-06-14T00:00:00-00:00", "2025-06-15T00:00:00-00:00", "2025-06-02T15:06:40Z"),
)
VERSIONS: Final = (
    "1",
    "1.0",
    "1.0.0",
    "1.0.0-rc",
    "1.0.0-rc.1",
    "1.2",
    "2",
    "0.9.0",
    "v2",
    "02.0.0",
)
NESTED: Final[tuple[Any, ...]] = (
    *({}, [], [None], [[]], {"x": 1}, {"x": [1, 2]}, [["a"]], [{"x": True}], {"x": {"y": "a"}}),
)

NO_LISTS: Final[tuple[Any, ...]] = ({}, {"x": 1}, {"x": {"y": "a"}}, None)


class People:
    """Draws values for users, from one seed."""

    def __init__(self, seed: int, *, lists: bool) -> None:
        self.random = random.Random(seed)
        self.lists = lists

    def one_of(self, values: Sequence[Drawn]) -> Drawn:
        return self.random.choice(values)

    def scalar(self) -> JSONValue:
        pool: Sequence[Any] = self.one_of(
            (TEXTS, TEXTS, NUMBERS, NUMBERS, DATES, VERSIONS, (True, False, None))
        )
        found: JSONValue = HUGE if self.random.random() < 0.02 else self.one_of(pool)
        return found

    def value(self) -> JSONValue:
        kind = self.random.random()
        if kind < 0.7:
            return self.scalar()
        if not self.lists:
            without: JSONValue = self.one_of(NO_LISTS)
            return without
        if kind < 0.9:
            return [self.scalar() for _ in range(self.random.randint(0, 3))]
        nested: JSONValue = self.one_of(NESTED)
        return nested

    def metadata(self) -> dict[str, JSONValue]:
        keys = [key for key in METADATA_KEYS if self.random.random() < 0.6]
        metadata = {key: self.value() for key in keys}
        if "o" in metadata and self.random.random() < 0.8:
            metadata["o"] = {key: self.value() for key in ("x", "a.b", 'q"x', "0")}
        return metadata

    def instant(self) -> datetime.datetime:
        days = self.one_of((0, 1, 6, 7, 8, 29, 30, 31, 365, 20_000, -1, -400, 700_000))
        off = self.one_of((0, 0, 1, -1, 500_000, 3_600_000_000))
        return INSTANT - datetime.timedelta(days=days, microseconds=off)

    def email(self, number: int) -> str:
        domain = self.one_of(("agpt.co", "example.com", "x", "agpt.co.uk"))
        return self.one_of(
            (f"p{number}@{domain}", f'"p{number}@agpt.co"@{domain}', f"ab{number}@{domain}")
        )

    def user(self, number: int) -> User:
        return User(
            id=uuid.UUID(KEYS[number]),
            email=self.email(number),
            email_verified=self.random.random() < 0.5,
            name=self.one_of(("", "a", "Ab", "é", "É", "abc")),
            role=self.one_of(Role.values),
            is_staff=self.random.random() < 0.3,
            created_at=self.instant(),
            last_seen_at=None if self.random.random() < 0.3 else self.instant(),
        )


def create_people(seed: int = 1, *, lists: bool = True) -> None:
    """Fill the tables of users and groups; without `lists` no metadata hold one."""
    people = People(seed, lists=lists)
    users = User.objects.bulk_create(people.user(number) for number in range(PEOPLE))
    groups = Group.objects.bulk_create(
        Group(name=name) for name in ("a", "ab", "é", "2025-01-31T12:00:00Z")
    )
    through = User.groups.through
    through.objects.bulk_create(
        through(user_id=user.pk, group_id=group.pk)
        for user in users
        for group in groups
        if people.random.random() < 0.3
    )
    # Past the ORM, which would refuse some of it.
    pks = [user.pk.hex if connection.vendor == "sqlite" else user.pk for user in users]
    rows = [(json.dumps(people.metadata()), pk) for pk in pks]
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE users_user SET metadata = %s WHERE id = %s", rows)


def delete_people() -> None:
    User.objects.filter(pk__in=KEYS).delete()
    Group.objects.all().delete()
