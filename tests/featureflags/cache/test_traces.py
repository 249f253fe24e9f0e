"""The real store does what the model says, step by step: random orders, and those that break the model.

Each of the model's steps is one call of the real code, on PostgreSQL with Redis servers of their own, or
on SQLite with files. `test_model` searches the same steps exhaustively.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from django.core.cache import caches
from django.db import connection
from pytest_django.fixtures import Settings

from config.settings.caches import redis_caches
from featureflags.cache.backends.file import SharedFileCache
from featureflags.cache.backends.protocol import SharedCache
from tests.factories import UserFactory
from tests.featureflags.cache.model.driver import NOTHING, Driver
from tests.featureflags.cache.model.machine import moves
from tests.featureflags.cache.model.scenarios import RULES, SCENARIOS
from tests.featureflags.cache.model.search import search
from tests.featureflags.cache.model.state import State
from tests.profiles import DEEP
from tests.services.redis import RedisServer, redis_server
from tests.services.standby import Standby

pytestmark = pytest.mark.django_db(transaction=True)

ORDERS = 100 if DEEP else 2
MOST_STEPS = 80
ON_FILES = ("two readers and a writer", "eviction", "a flush")
"""On SQLite a write learns what it has changed from the outbox, and so notifies the cache of rows of
others too: with a second writer it does more than the model."""
QUICK_RULES = [rule for rule, (name, _) in RULES.items() if name != "eviction"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The caches of a case, and how the first is restarted."""

    caches: list[SharedCache]
    standby: Callable[[], Standby]
    """Of the database; started when it is asked for."""
    restart: Callable[[], None] | None = None


@pytest.fixture(scope="module")
def servers() -> Iterator[list[RedisServer]]:
    """Each case empties them."""
    with ExitStack() as stack:
        is_used = connection.vendor != "sqlite"
        yield [stack.enter_context(redis_server()) for _ in range(2) if is_used]


@pytest.fixture
def stores(
    settings: Settings,
    tmp_path: Path,
    standbys: Callable[[], Standby],
    servers: list[RedisServer],
) -> Stores:
    if not servers:
        return Stores(caches=[SharedFileCache(str(tmp_path), {})], standby=standbys)
    first, second = servers
    settings.CACHES = {
        **redis_caches(first.url, key_prefix="first"),
        "second": redis_caches(second.url, key_prefix="second")["featureflags"],
    }

    def restart() -> None:
        first.stop()
        first.start()

    found = [cast("SharedCache", caches[alias]) for alias in ("featureflags", "second")]
    return Stores(caches=found, standby=standbys, restart=restart)


def orders_of(start: State, count: int, seed: str) -> Iterator[list[str]]:
    """Random orders, from the beginning until every process is done."""
    chance = random.Random(seed)
    for _ in range(count):
        state = start
        order: list[str] = []
        while len(order) < MOST_STEPS and (found := list(moves(state, NOTHING))):
            name, move = chance.choice(found)
            order.append(name)
            state = move()
        yield order


def drive(stores: Stores, start: State, order: list[str]) -> None:
    has_replica = any(actor.kind == "replica" for actor in start.actors)
    driven = Driver(
        UserFactory.create(),
        stores.caches[: len(start.redis)],
        start,
        restart=stores.restart,
        standby=stores.standby() if has_replica else None,
    )
    assert driven.run(order) == len(order)


def skip_if_not_driven(name: str) -> None:
    if connection.vendor == "sqlite" and name not in ON_FILES:
        pytest.skip("of PostgreSQL and Redis")


@pytest.mark.parametrize("name", SCENARIOS)
def test_random_orders(stores: Stores, name: str) -> None:
    skip_if_not_driven(name)
    for order in orders_of(SCENARIOS[name], ORDERS, seed=name):
        drive(stores, SCENARIOS[name], order)


@pytest.mark.parametrize("rule", QUICK_RULES)
def test_the_order_that_breaks_the_model_without_a_rule(stores: Stores, rule: str) -> None:
    name, _ = RULES[rule]
    skip_if_not_driven(name)
    found = search(SCENARIOS[name], frozenset({rule}))
    assert found.broken
    drive(stores, SCENARIOS[name], list(found.trace))
