"""One of several processes that read, write and warm the same few users until their input ends.

`python -m tests.featureflags.cache.stress ROLE SEED RELEASE WITHOUT` works from one line of its
standard input to the next, then says how many rounds it has done, and so on until the input ends. A
writer that finds an old entry after its write has returned says so, and ends.
Between the read of a row and what follows it lies a pause, so that races that are rare become
frequent. RELEASE is added to the version of the snapshots, as in a later release. WITHOUT names a
protection that is switched off, or is empty; see `switches`.
"""

from __future__ import annotations

import queue
import random
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

import django
import psycopg

from featureflags.kinds import snapshot

if __name__ == "__main__":
    if int(sys.argv[3]):
        # Before anything imports it by name.
        snapshot.fingerprint_of = lambda fields: "NEXT_"

django.setup()

# ruff: noqa: E402 - models can be imported only now
from django.contrib.auth.models import Group
from django.core.cache import caches
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from django_redis import get_redis_connection

from featureflags.cache import protocol, read_through
from featureflags.cache.backends.redis import SharedRedisCache
from featureflags.cache.entries import VERSION_NAME, name_of
from featureflags.cache.gathered_reads import GatheredReads
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.core import monitoring
from featureflags.evaluation.resolve import contexts_for, resolve
from featureflags.kinds.registry import user_kind
from featureflags.warming import batches
from tests.featureflags.cache.switches import SWITCHES
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
        User.objects.filter(is_staff=True).exists()  # The snapshot is of this moment.
        time.sleep(chance.random() * PAUSE_SECONDS)
        resolve(str(user.pk))
        write_raw_sql(user)


def flush(_user: User) -> None:
    """FLUSHALL: this Redis serves nobody else."""
    cache = caches["featureflags"]
    if isinstance(cache, SharedRedisCache):
        get_redis_connection("featureflags").flushall()
    else:
        cache.clear()


def evict(user: User) -> None:
    caches["featureflags"].delete(chance.choice([VERSION_NAME, name_of(str(user.pk))]))


SEEN_AT_ONCE = (change_role, change_name, change_metadata, write_raw_sql, upsert)
"""Each gives the user a name or metadata that nobody had before."""
WRITES = (
    *SEEN_AT_ONCE,
    *(change_groups, rename_group, see, write_as_another_program, write_at_repeatable_read),
    *(flush, evict, change_and_think_better_of_it),
)


def write_some(keys: list[str]) -> None:
    user = User.objects.filter(pk=chance.choice(keys)).first()
    if user is not None:
        write, before, failures = (
            chance.choice(WRITES),
            user_kind().snapshot_of(user),
            failures_of_the_cache(),
        )
        write(user)
        if write in SEEN_AT_ONCE and failures == failures_of_the_cache():
            expect_other_than(before, write.__name__)
    time.sleep(chance.random() * PAUSE_SECONDS)


def expect_other_than(before: snapshot.Snapshot, what: str) -> None:
    """The write has returned: no process may answer with what was there before it."""
    key = before.key
    if (
        protocol.read([key]).fresh.get(key)
        == before
        != user_kind().snapshots_by_key([key]).get(key)
    ):
        print(f"STALE: {what} has returned, and the cache answers {before}", flush=True)
        sys.exit(1)


def failures_of_the_cache() -> int:
    """A cache that does not answer is notified within five seconds, not at once."""
    return sum(number for name, number in monitoring.counts().items() if name.startswith("cache_"))


def warm_some(_keys: list[str]) -> None:
    for _ in batches.warm_users(User.objects.all(), force=chance.random() < 0.5):
        pass


ROLES: dict[str, Callable[[list[str]], None]] = {
    "reader": read_some,
    "writer": write_some,
    "warmer": warm_some,
}


def lines_of(lines: queue.Queue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    lines.put("")


def main(role: str, seed: str, _release: str, without: str) -> None:
    chance.seed(int(seed))
    read_through._rows = paused(read_through._rows)
    read_through._gathered = GatheredReads(read_through._rows)
    kind = user_kind()
    values_of = kind.values
    kind.values = paused(lambda users: list(values_of(users)))  # type: ignore[method-assign]
    SWITCHES[without]()
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
