"""One of several processes that read, write and warm the same few rows until their input ends.

`python -m tests.featureflags.cache.stress` forks them. The first line says ROLE SEED RELEASE WORLD WITHOUT.
Then each works from one line to the next, says how many rounds it has done, and so on until the input ends.
A writer that finds an old entry after its write has returned says so, and ends.
Between the read of a row and what follows it lies a pause, so that races that are rare become
frequent. RELEASE is added to the version of the snapshots, as in a later release. WITHOUT names a
protection that is switched off, or is empty; see `switches`. WORLD names what is written; see `WORLDS`.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import IO, Any, Final

import django

django.setup()

# ruff: noqa: E402 - models can be imported only now
from django.core.cache import caches
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from featureflags.cache import protocol, read_through
from featureflags.cache.backends.redis import SharedRedisCache
from featureflags.cache.entries import VERSION_NAME, name_of
from featureflags.cache.gathered_reads import GatheredReads
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.core import monitoring
from featureflags.evaluation.resolve import contexts_for, resolve
from featureflags.kinds.registry import kinds
from featureflags.kinds.snapshot import Address, Snapshot
from featureflags.warming import batches
from tests.featureflags.cache import stress_customers, stress_users
from tests.featureflags.cache.stress_crew import RELEASES, STALE, everybody, rows_of
from tests.featureflags.cache.stress_tools import PAUSE_SECONDS, chance
from tests.featureflags.cache.switches import SWITCHES
from tests.featureflags.kinds.conftest import declared
from tests.services.forking import fork_processes

WORLDS: Final[dict[str, Any]] = {"users": stress_users, "customers": stress_customers}
"""Users with their groups; another project's users with related rows, and their organizations."""


class StaleError(Exception):
    """The cache answers with what was there before a write that has returned."""


def paused(read: Callable[..., Any]) -> Callable[..., Any]:
    def read_and_pause(*arguments: Any, **options: Any) -> Any:
        found = read(*arguments, **options)
        time.sleep(chance.random() * PAUSE_SECONDS)
        return found

    return read_and_pause


def read_some(rows: list[Address], _world: Any) -> None:
    with unit_of_work():
        if chance.random() < 0.8:
            resolve(chance.choice(rows))
        else:
            contexts_for(chance.sample(rows, 2))


def flush() -> None:
    """FLUSHALL: this Redis serves nobody else."""
    cache = caches["featureflags"]
    if isinstance(cache, SharedRedisCache):
        get_redis_connection("featureflags").flushall()
    else:
        cache.clear()


def write_some(rows: list[Address], world: Any) -> None:
    address, write = chance.choice(rows), chance.choice([*world.WRITES, flush, None])
    row = world.find(address)
    if write is None or write is flush:
        # On a busy machine the cache does not answer in time: then nothing is lost from it.
        with suppress(TimeoutError, RedisError):
            if write is flush:
                flush()
            else:
                caches["featureflags"].delete(chance.choice([VERSION_NAME, name_of(address)]))
    elif row is not None:
        before, failures = rows_of(world.addresses_of(row)), failures_of_the_cache()
        for old in write(row) or ():
            if old in before and failures == failures_of_the_cache():
                expect_other_than(old, before[old], write.__name__)
    time.sleep(chance.random() * PAUSE_SECONDS)


def expect_other_than(address: Address, before: Snapshot, what: str) -> None:
    """The write has returned: no process may answer with what was there before it."""
    cached = protocol.read([address]).fresh.get(address)
    if cached == before != rows_of([address]).get(address):
        raise StaleError(f"{STALE}: {what} has returned, and the cache answers {before}")


def failures_of_the_cache() -> int:
    """A cache that does not answer is notified within five seconds, not at once."""
    return sum(number for name, number in monitoring.counts().items() if name.startswith("cache_"))


def warm_some(_rows: list[Address], _world: Any) -> None:
    for kind in kinds():
        # A busy machine, or a paused process that holds the lock: a run of warming ends then.
        with suppress(batches.CacheDown):
            for _ in batches.warm_users(kind.rows(), force=chance.random() < 0.5, kind=kind):
                pass


ROLES: dict[str, Callable[[list[Address], Any], None]] = {
    "reader": read_some,
    "writer": write_some,
    "warmer": warm_some,
}


def serve(lines: IO[str], answers: IO[str]) -> None:
    role, seed, release, name, without = lines.readline().rstrip("\n").split(" ")
    chance.seed(int(seed))
    world = WORLDS[name]
    with ExitStack() as stack:
        if world.KINDS:
            stack.enter_context(declared(*world.KINDS))
        read_through._rows = paused(read_through._rows)
        read_through._gathered = GatheredReads(read_through._rows)
        for kind in kinds():
            pause_values(kind)
            kind.fingerprint = RELEASES.get(int(release), kind.fingerprint)
        SWITCHES[without]()
        try:
            work(role, world, lines, answers)
        except StaleError as stale:
            print(stale, file=answers, flush=True)


def pause_values(kind: Any) -> None:
    values_of = kind.values
    kind.values = paused(lambda rows: list(values_of(rows)))


def work(role: str, world: Any, lines: IO[str], answers: IO[str]) -> None:
    """A round after another, while there are lines."""
    told: queue.Queue[str] = queue.Queue()
    threading.Thread(target=pass_on, args=(lines, told), daemon=True).start()
    rows = everybody()
    print("ready", file=answers, flush=True)
    while told.get():
        rounds = 0
        while told.empty():
            ROLES[role](rows, world)
            rounds += 1
        if not told.get():
            return
        print(rounds, file=answers, flush=True)


def pass_on(lines: IO[str], told: queue.Queue[str]) -> None:
    for line in lines:
        told.put(line)
    told.put("")


if __name__ == "__main__":
    fork_processes(serve)
