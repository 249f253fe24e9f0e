"""The writes of the stress test to users of the project's own kind, in every way that there is.

Each gives the addresses that it has certainly made old: nobody may answer as before once it has returned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from django.contrib.auth.models import Group
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from featureflags.evaluation.resolve import resolve
from featureflags.kinds.declaration import Kind
from featureflags.kinds.snapshot import Address
from tests.featureflags.cache.stress_tools import PAUSE_SECONDS, chance, execute, execute_elsewhere
from users.models import User

KINDS: Final[tuple[type[Kind], ...]] = ()
"""Those of the project."""


def find(address: Address) -> User | None:
    return User.objects.filter(pk=str(address)).first()


def addresses_of(user: User) -> list[Address]:
    """Of what a write of this user may change."""
    return [str(user.pk)]


def change_role(user: User) -> None:
    role, name = chance.choice(["user", "admin", "system"]), f"Role {chance.random()}"
    User.objects.filter(pk=user.pk).update(role=role, name=name)


def change_name(user: User) -> None:
    user.name = f"User {chance.random()}"
    user.save()


def change_metadata(user: User) -> None:
    user.metadata = {"plan": chance.random()}
    with transaction.atomic():
        User.objects.bulk_update([user], ["metadata"])
        time.sleep(chance.random() * PAUSE_SECONDS)


def change_groups(user: User) -> None:
    groups = list(Group.objects.all())
    user.groups.set(chance.sample(groups, chance.randrange(len(groups))))


def rename_group(_user: User) -> None:
    group = chance.choice(list(Group.objects.all()))
    group.name = f"{group.pk}-{chance.random()}"
    group.save()


def see(user: User) -> None:
    User.objects.filter(pk=user.pk).update(last_seen_at=timezone.now())


def change_and_think_better_of_it(user: User) -> None:
    with transaction.atomic():
        change_role(user)
        transaction.set_rollback(True)


RAW = "UPDATE users_user SET name = '{name}' WHERE email = '{email}'"


def write_raw_sql(user: User) -> None:
    execute(RAW.format(name=f"Raw {chance.random()}", email=user.email))


def upsert(user: User) -> None:
    user.name = f"Upsert {chance.random()}"
    User.objects.bulk_create(
        [user], update_conflicts=True, update_fields=["name"], unique_fields=["id"]
    )


def write_as_another_program(user: User) -> None:
    execute_elsewhere(RAW.format(name=f"Foreign {chance.random()}", email=user.email))


def write_at_repeatable_read(user: User) -> None:
    """A write from an older snapshot, which may be refused."""
    with suppress(OperationalError), transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        User.objects.filter(is_staff=True).exists()  # The snapshot is of this moment.
        time.sleep(chance.random() * PAUSE_SECONDS)
        resolve(str(user.pk))
        write_raw_sql(user)


def seen(write: Callable[[User], None]) -> Callable[[User], Sequence[Address]]:
    """The write gives the user a name or metadata that nobody had before."""

    def write_and_name(user: User) -> Sequence[Address]:
        write(user)
        return addresses_of(user)

    return write_and_name


WRITES: Final[tuple[Callable[[User], Sequence[Address] | None], ...]] = (
    *map(seen, (change_role, change_name, change_metadata, write_raw_sql, upsert)),
    *(change_groups, rename_group, see, write_as_another_program, write_at_repeatable_read),
    change_and_think_better_of_it,
)
