"""One of several processes that read, write and warm the same few users until they are told to stop.

`python -m tests.featureflags.cache.stress ROLE SEED PROTECTED` works from one line of its standard
input to the next, then says how many rounds it has done, and so on until the input ends.
Between the read of a row and what follows it lies a pause, so that races that are rare become
frequent. Without protection a fill writes what it has, as a cache is commonly used.
"""

from __future__ import annotations

import queue
import random
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import django

django.setup()

# ruff: noqa: E402 - models can be imported only now
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from featureflags.cache import read_through, snapshot_store
from featureflags.cache.backends.protocol import Done
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.evaluation.resolve import contexts_for, resolve
from featureflags.warming import batches
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


WRITES = (
    *(change_role, change_name, change_metadata, change_groups, rename_group, see),
    change_and_think_better_of_it,
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
