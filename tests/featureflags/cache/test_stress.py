"""Readers, writers and a warmer in several processes of two releases: no answer is older than promised.

They write in every way there is, while the cache is flushed and single processes are paused. At every
sampled moment no answer is older than five seconds; after a write of ours has returned, none is older
than it; whenever they rest, each entry equals its row. `make test` does it for some seconds,
`make test-deep` for minutes, with processes killed at random.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Group
from django.core.cache import caches
from django.db import connection
from pytest_django.fixtures import Settings

from config.settings.caches import redis_caches
from config.settings.testing import WORKER
from featureflags.cache import outbox, protocol
from featureflags.cache.backends.redis import SharedRedisCache
from featureflags.capture import installation
from featureflags.kinds.snapshot import Address
from tests.emptying import empty_caches
from tests.factories import UserFactory
from tests.featureflags.cache import stress_customers
from tests.featureflags.cache.stress_crew import (
    Ages,
    Crew,
    OldAnswerError,
    everybody,
    expect_right_entries,
)
from tests.featureflags.kinds.conftest import declared
from tests.profiles import DEEP
from tests.services.forking import Forking
from tests.services.processes import on_this_database
from tests.services.redis import RedisServer, redis_server
from tests.services.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 120.0 if DEEP else 7.0
WORK_SECONDS = 2.0
PAUSE_SECONDS = 7.0 if DEEP else 1.5
"""At most. Longer than five seconds: others must see what the paused process has written."""
SAMPLE_SECONDS = 0.05
UNPROTECTED_SECONDS = 120.0
"""At most: it ends with the first old answer."""
USERS = 4
"""Few, so that they get into each other's way."""
ENOUGH_ROUNDS = 5
END_SECONDS = 60.0
QUICKLY_CAUGHT = ("compare", "notifying")
"""By chance, within seconds. `test_switched_off` has the others, each in the order that needs it."""


@pytest.fixture
def keys() -> list[Address]:
    for number in range(4):
        Group.objects.create(name=f"group {number}")
    return [str(UserFactory.create().pk) for _ in range(USERS)]


@pytest.fixture
def customers(transactional_db: None) -> Iterator[list[Address]]:
    """Another project's users, and their organizations, with the triggers that follow from their paths."""
    with declared(*stress_customers.KINDS):
        installation.install(connection)
        stress_customers.create(USERS)
        yield everybody()
    installation.install(connection)


@pytest.fixture(scope="module")
def redis(django_db_setup: None) -> Iterator[RedisServer | None]:
    """A Redis of their own, which may be flushed, where the tests use Redis at all."""
    if not isinstance(caches["featureflags"], SharedRedisCache):
        yield None
        return
    with redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def loaded(redis: RedisServer | None) -> Iterator[Forking]:
    """Loaded once for all tests, on this database."""
    variables = {} if redis is None else {"REDIS_URL": redis.url}
    program = "tests.featureflags.cache.stress"
    with Forking({**on_this_database(), **variables}, program) as process:
        yield process


@pytest.fixture
def forking(loaded: Forking, redis: RedisServer | None, settings: Settings) -> Forking:
    if redis is not None:
        settings.CACHES = redis_caches(redis.url, key_prefix=f"test-{WORKER}")
        empty_caches()
    return loaded


def settle() -> None:
    """Wait as long as a process that died may leave something behind: 5 seconds."""

    def nothing_is_pending() -> bool:
        protocol.read(())
        return not outbox.in_force().has_pending

    wait_until(nothing_is_pending, timeout=END_SECONDS, what="an empty outbox")


def watch(ages: Ages, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        ages.sample()
        time.sleep(SAMPLE_SECONDS)


def work_once(crew: Crew, ages: Ages) -> None:
    """They work, one after another is paused, and at the end each entry equals its row."""
    with crew.at_work():
        watch(ages, random.random() * WORK_SECONDS)
        with crew.one_paused():
            watch(ages, random.random() * PAUSE_SECONDS)
        watch(ages, random.random() * WORK_SECONDS)
    settle()
    expect_right_entries(ages.watched)


def work(rows: list[Address], forking: Forking, world: str) -> None:
    ages = Ages(rows)
    with Crew(forking, world=world) as crew:
        ends = time.monotonic() + SECONDS
        # A busy machine needs longer until each has done enough.
        while time.monotonic() < ends or min(crew.rounds.values()) <= ENOUGH_ROUNDS:
            work_once(crew, ages)
    assert ages.samples > 10
    assert everybody() == rows


def test_no_answer_is_older_than_promised(keys: list[Address], forking: Forking) -> None:
    work(sorted(keys, key=str), forking, "users")


def test_no_answer_of_related_rows_and_organizations_is_either(
    customers: list[Address], forking: Forking
) -> None:
    assert len(customers) == USERS + 2
    work(customers, forking, "customers")


@pytest.mark.parametrize(
    ("rows", "world", "without"),
    [
        *(("keys", "users", each) for each in QUICKLY_CAUGHT),
        ("customers", "customers", "notifying"),
    ],
)
def test_without_a_protection_one_is(
    request: pytest.FixtureRequest, forking: Forking, rows: str, world: str, without: str
) -> None:
    """The same processes, so that the tests above are known to be able to fail."""
    ages = Ages(request.getfixturevalue(rows))
    with Crew(forking, without, world=world) as crew:
        ends = time.monotonic() + UNPROTECTED_SECONDS
        while time.monotonic() < ends:
            try:
                work_once(crew, ages)
            except OldAnswerError:
                return
    pytest.fail("no race was lost: the processes do too little")


@pytest.mark.skipif(not DEEP, reason="kills at random: in `make test-deep`")
def test_a_process_may_be_killed_at_any_step(keys: list[Address], forking: Forking) -> None:
    ages = Ages(keys)
    with Crew(forking) as crew:
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            with crew.at_work():
                for _ in range(3):
                    watch(ages, random.random() * WORK_SECONDS)
                    crew.kill_one()
            settle()
            expect_right_entries(keys)
