"""One of several processes that read, write and warm the same few users until they are told to stop.

`python -m tests.featureflags.cache.stress ROLE SEED PROTECTED` works from one line of its standard
input to the next, then says how many rounds it has done, and so on until the input ends.
Between the read of a row and what follows it lies a pause, so that races that are rare become
frequent. Without protection a fill writes what it has, as a cache is commonly used.
"""

from __future__ import annotations

import queue
import random
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from typing import Any

import django
import psycopg

django.setup()

# ruff: noqa: E402 - models can be imported only now
from django.contrib.auth.models import Group
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from featureflags.cache import read_through, snapshot_store
from featureflags.cache.backends.protocol import Done
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.evaluation.resolve import contexts_for, resolve
from featureflags.warming import batches
from tests.emptying import empty_caches
from users.models import User

PAUSE_SECONDS = 0.02

chance = random.Random()


def paused(read: Callable[..., Any]) -> Callable[..., Any]:
    def read_and_pause(*arguments: Any, **options: Any) -> Any:
        found = read(*arguments, **options)
        time.sleep(chance.random() * PAUSE_SECONDS)
        return found

    return read_and_pause


def read_some(keys: list[str]) -> None:
    with unit_of_work():
        if chance.random() < 0.8:
            resolve(chance.choice(keys))
        else:
            contexts_for(chance.sample(keys, 2))


def change_role(user: User) -> None:
    User.objects.filter(pk=user.pk).update(role=chance.choice(["user", "admin", "system"]))


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
    with connection.cursor() as cursor:
        cursor.execute(RAW.format(name=f"Raw {chance.random()}", email=user.email))


def upsert(user: User) -> None:
    user.name = f"Upsert {chance.random()}"
    User.objects.bulk_create(
        [user], update_conflicts=True, update_fields=["name"], unique_fields=["id"]
    )


def write_as_another_program(user: User) -> None:
    """On a connection of its own, which knows nothing of Guidon."""
    sql = RAW.format(name=f"Foreign {chance.random()}", email=user.email)
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(settings["NAME"], timeout=20)) as foreign, foreign:
            foreign.execute(sql)
        return
    with psycopg.connect(
        dbname=settings["NAME"],
        user=settings["USER"],
        password=settings["PASSWORD"],
        host=settings["HOST"],
        port=settings["PORT"],
    ) as other:
        other.execute(sql)


def write_at_repeatable_read(user: User) -> None:
    """A write from an older snapshot, which may be refused."""
    with suppress(OperationalError), transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        resolve(str(user.pk))
        time.sleep(chance.random() * PAUSE_SECONDS)
        write_raw_sql(user)


def lose_the_cache(_user: User) -> None:
    """As an eviction of everything."""
    empty_caches("featureflags")


WRITES = (
    *(change_role, change_name, change_metadata, change_groups, rename_group, see),
    *(write_raw_sql, upsert, write_as_another_program, write_at_repeatable_read),
    *(lose_the_cache, change_and_think_better_of_it),
)


def write_some(keys: list[str]) -> None:
    user = User.objects.filter(pk=chance.choice(keys)).first()
    if user is not None:
        chance.choice(WRITES)(user)
    time.sleep(chance.random() * PAUSE_SECONDS)


def warm_some(_keys: list[str]) -> None:
    for _ in batches.warm_users(User.objects.all(), force=chance.random() < 0.5):
        pass


ROLES: dict[str, Callable[[list[str]], None]] = {
    "reader": read_some,
    "writer": write_some,
    "warmer": warm_some,
}


def take_protection_away() -> None:
    """Store whatever was read, without a look at what is stored now."""
    backend = type(snapshot_store.backend())

    def set_all(self: Any, swaps: Mapping[str, tuple[bytes, bytes]], seconds: float) -> Done[int]:
        self.set_many({name: new for name, (_, new) in swaps.items()}, seconds)
        return Done(len(swaps))

    backend.send_swap = set_all  # type: ignore[method-assign, union-attr]


def lines_of(lines: queue.Queue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    lines.put("")


def main(role: str, seed: str, protected: str) -> None:
    chance.seed(int(seed))
    read_through.snapshots_and = paused(read_through.snapshots_and)  # type: ignore[attr-defined]
    values_of = batches.snapshot_values  # type: ignore[attr-defined]
    batches.snapshot_values = paused(lambda users: list(values_of(users)))  # type: ignore[attr-defined]
    if protected == "no":
        take_protection_away()
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=lines_of, args=(lines,), daemon=True).start()
    keys = [str(pk) for pk in User.objects.order_by("pk").values_list("pk", flat=True)]
    print("ready", flush=True)
    while lines.get():
        rounds = 0
        while lines.empty():
            ROLES[role](keys)
            rounds += 1
        if not lines.get():
            return
        print(rounds, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
