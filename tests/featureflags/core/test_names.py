"""A name server that does not answer: each look-up of the system takes seconds, and nothing here waits for it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app
from django.core.cache import CacheHandler
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from ldclient.versioned_data_kind import FEATURES
from pytest_django.fixtures import Settings
from redis.exceptions import RedisError

from config.settings.caches import redis_caches
from featureflags.core import names
from featureflags.core.conf import app_settings
from featureflags.core.deadlines import Purpose, within
from featureflags.core.names import addresses, is_name
from featureflags.core.outages import DATABASE, REDIS
from featureflags.core.outgoing import post
from featureflags.core.postgresql.base import DatabaseWrapper
from featureflags.core.publishing import BROKER, publish
from featureflags.launchdarkly.daemon_mode import DaemonStore
from featureflags.tasks import count_changed_segments
from tests.services.waiting import PATIENCE_SECONDS, wait_until

SLOW = "slow.guidon.test"
HANGS_SECONDS = 2 * PATIENCE_SECONDS
AT_MOST_SECONDS = PATIENCE_SECONDS
"""The deadlines are tenths of a second; who waits for the name waits longer than a busy machine takes."""


class Resolver:
    """In the place of the system's: one name hangs until `answer`."""

    def __init__(self) -> None:
        self.answer = threading.Event()
        self.asked = 0
        self._usual = socket.getaddrinfo

    def __call__(self, host: Any, port: Any, *rest: Any, **options: Any) -> Any:
        if host != SLOW:
            return self._usual(host, port, *rest, **options)
        self.asked += 1
        if not self.answer.wait(HANGS_SECONDS):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port or 0))]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    made = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    yield made
    made.answer.set()
    wait_until(lambda: not names._pending, what="the end of the look-ups")
    for server in (DATABASE, REDIS, BROKER):
        server.forget()


def timed(call: Any) -> tuple[Any, float]:
    began = time.monotonic()
    try:
        found = call()
    except (OSError, OperationalError, RedisError) as error:
        found = error
    return found, time.monotonic() - began


def test_many_who_ask_share_one_look_up(resolver: Resolver) -> None:
    for _ in range(20):
        found, seconds = timed(lambda: addresses(SLOW, 80, seconds=0.01))
        assert isinstance(found, TimeoutError)
        assert seconds < AT_MOST_SECONDS
    assert resolver.asked == 1
    resolver.answer.set()
    assert addresses(SLOW, 80, seconds=HANGS_SECONDS) == ["127.0.0.1"]
    assert not names._pending


def test_a_name_that_there_is_not() -> None:
    found, _seconds = timed(lambda: addresses("nobody.invalid", 80, seconds=30))
    assert isinstance(found, OSError)
    found, _seconds = timed(lambda: addresses("x" * 70 + ".test", 80, seconds=30))
    assert isinstance(found, OSError)


@pytest.mark.parametrize(
    "host", ["", "localhost", "127.0.0.1", "::1", "fe80::1%eth0", "/run/postgresql", "@x"]
)
def test_what_nobody_looks_up(host: str) -> None:
    assert not is_name(host)
    assert is_name("db.internal")


def test_a_child_looks_by_itself(resolver: Resolver) -> None:
    timed(lambda: addresses(SLOW, 80, seconds=0.01))
    child = os.fork()
    if not child:
        resolver.answer.set()
        os._exit(0 if addresses(SLOW, 80, seconds=HANGS_SECONDS) == ["127.0.0.1"] else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.django_db
def test_postgresql_by_that_name(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featureflags.core.outages.RETRY_SECONDS", HANGS_SECONDS)
    mine = DatabaseWrapper(
        {
            **connections.settings["default"],
            "HOST": SLOW,
            "PORT": 5432,
            "NAME": "guidon",
            "USER": "x",
            "PASSWORD": "",
            "OPTIONS": {"connect_timeout": 3},
        },
        DEFAULT_DB_ALIAS,
    )
    with within(Purpose.FLAG_CHECK) as budget:
        budget.database_seconds = 0.1
        for _ in range(3):
            found, seconds = timed(mine.ensure_connection)
            assert isinstance(found, OperationalError)
            assert seconds < AT_MOST_SECONDS
    assert DATABASE.totals().missed == 1, "the others were not let through"


@pytest.mark.django_db
def test_redis_by_that_name(resolver: Resolver) -> None:
    made = CacheHandler(redis_caches(f"redis://{SLOW}:6379/0"))["featureflags"]
    with within(Purpose.FLAG_CHECK) as budget:
        budget.redis_seconds = 0.06
        found, seconds = timed(lambda: made.get("x"))
    assert isinstance(found, RedisError)
    assert seconds < AT_MOST_SECONDS
    assert REDIS.is_silent


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_the_redis_of_the_relay_proxy_by_that_name(
    resolver: Resolver, settings: Settings, scheme: str
) -> None:
    given = {"DAEMON_URL": f"{scheme}://{SLOW}:6379/0"}
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **given}
    store = DaemonStore(app_settings())
    found, seconds = timed(lambda: store.get(FEATURES, "new-checkout"))
    assert found is None
    assert seconds < HANGS_SECONDS / 2
    assert not store.is_available()


def test_the_broker_by_that_name(resolver: Resolver) -> None:
    before = {name: current_app.conf[name] for name in ("task_always_eager", "broker_write_url")}
    current_app.conf.update(task_always_eager=False, broker_write_url=f"redis://{SLOW}:6379/0")
    try:
        taken, seconds = timed(lambda: publish(count_changed_segments))
    finally:
        current_app.conf.update(before)
    assert (taken, seconds < AT_MOST_SECONDS) == (False, True)
    assert BROKER.is_silent


def test_a_webhook_to_that_name(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featureflags.core.outgoing.CONNECT_SECONDS", 0.1)
    found, seconds = timed(lambda: post(f"https://{SLOW}/", b"{}", {}))
    assert isinstance(found, TimeoutError)
    assert seconds < AT_MOST_SECONDS
