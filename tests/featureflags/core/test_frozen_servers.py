"""Real servers that are stopped: they accept, and never answer."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import psycopg
import pytest
from django.conf import settings as django_settings
from django.core.cache import caches
from django.db import OperationalError, connections
from django.test import override_settings
from kombu import Connection

from config.settings.caches import redis_caches
from config.settings.databases import KEEPALIVE, POSTGRES_OPTIONS
from featureflags.core.deadlines import Purpose, within
from featureflags.core.outages import DATABASE, REDIS, RETRY_SECONDS
from featureflags.core.postgresql.base import DatabaseWrapper
from tests.services.postgres import PostgresServer, postgres_server
from tests.services.redis import RedisServer, redis_server
from tests.services.waiting import wait_until

pytestmark = [pytest.mark.production_stack, pytest.mark.django_db]

DATABASE_SECONDS = 0.1
REDIS_SECONDS = 0.06
SLACK_SECONDS = 0.15
"""For a busy machine. What is ruled out is a wait for seconds."""
AT_ONCE_SECONDS = 0.05


@pytest.fixture(autouse=True)
def budgets() -> Iterator[None]:
    given = {
        **django_settings.FEATUREFLAGS,
        "FLAG_CHECK_DATABASE_SECONDS": DATABASE_SECONDS,
        "FLAG_CHECK_REDIS_SECONDS": REDIS_SECONDS,
        "PAGE_DATABASE_SECONDS": 0.5,
    }
    with override_settings(FEATUREFLAGS=given):
        yield
    DATABASE.forget()
    REDIS.forget()


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[DatabaseWrapper]:
    """A connection of Django's to a server of our own."""
    mine = DatabaseWrapper(
        {
            **connections.settings["default"],
            "HOST": "127.0.0.1",
            "PORT": postgres.port,
            "NAME": "guidon",
            "USER": "postgres",
            "PASSWORD": "",
            "OPTIONS": {"connect_timeout": 3},
        },
        "mine",
    )
    yield mine
    postgres.resume()
    mine.close()


def ask(database: DatabaseWrapper, statement: str = "SELECT 1") -> tuple[object, float]:
    """What it answers, or the error; and after how long. Seconds."""
    began = time.monotonic()
    try:
        database.close_if_unusable_or_obsolete()
        with database.cursor() as cursor:
            cursor.execute(statement)
            found: object = cursor.fetchone()
    except OperationalError as error:
        found = error
    return found, time.monotonic() - began


class TestServersThatAreGoneWithoutAWord:
    """No packet says so: the kernel asks, and ends what nobody answers. Outside of requests nothing else would."""

    def ended_after(self, descriptor: int) -> int:
        """Seconds of silence, by the options of a socket."""
        with socket.socket(fileno=os.dup(descriptor)) as sock:
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            idle, interval, count = (
                sock.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            )
        return idle + interval * count

    def test_postgresql(self, postgres: PostgresServer) -> None:
        options: dict[str, Any] = {**POSTGRES_OPTIONS}
        with psycopg.connect(postgres.url, **options) as made:
            assert self.ended_after(made.fileno()) == 60

    def test_the_broker(self, redis: RedisServer) -> None:
        with Connection(redis.url, transport_options=KEEPALIVE) as made:
            made.connect()
            client: Any = made.default_channel
            pooled = client.client.connection_pool.get_connection()
            pooled.connect()
            assert self.ended_after(pooled._sock.fileno()) == 60


class TestPostgreSQL:
    def test_a_kept_connection_to_a_frozen_server(
        self, postgres: PostgresServer, database: DatabaseWrapper
    ) -> None:
        with within(Purpose.FLAG_CHECK):
            assert ask(database)[0] == (1,)
            postgres.pause()
            found, seconds = ask(database)
            assert isinstance(found, OperationalError)
            assert DATABASE_SECONDS * 0.9 < seconds < DATABASE_SECONDS + SLACK_SECONDS
            for _ in range(3):
                found, seconds = ask(database)
                assert isinstance(found, OperationalError)
                assert seconds < AT_ONCE_SECONDS, "others do not wait"

    def test_the_admin_takes_no_short_pause_for_an_outage(
        self, postgres: PostgresServer, database: DatabaseWrapper
    ) -> None:
        with within(Purpose.ADMIN):
            assert ask(database)[0] == (1,)
            postgres.pause()
            resumed = threading.Timer(0.2, postgres.resume)
            resumed.start()
            assert database.is_usable()
            resumed.join()
            assert DATABASE.outage is None
            postgres.pause()
            began = time.monotonic()
            assert not database.is_usable()
            assert time.monotonic() - began < 0.5 + SLACK_SECONDS

    def test_a_new_connection_to_a_frozen_server(
        self, postgres: PostgresServer, database: DatabaseWrapper
    ) -> None:
        postgres.pause()
        with within(Purpose.FLAG_CHECK):
            found, seconds = ask(database)
        assert isinstance(found, OperationalError)
        assert seconds < DATABASE_SECONDS + SLACK_SECONDS, "libpq's own shortest wait is 2 s"

    def test_it_is_back_within_a_second(
        self, postgres: PostgresServer, database: DatabaseWrapper
    ) -> None:
        with within(Purpose.FLAG_CHECK):
            ask(database)
            postgres.pause()
            assert isinstance(ask(database)[0], OperationalError)
            postgres.resume()
            began = time.monotonic()
            wait_until(lambda: ask(database)[0] == (1,), timeout=5, what="an answer")
        assert time.monotonic() - began < RETRY_SECONDS + 1
        assert not DATABASE.is_silent

    def test_a_locked_table(self, postgres: PostgresServer, database: DatabaseWrapper) -> None:
        with psycopg.connect(postgres.url) as other:
            other.execute("CREATE TABLE locked (id int)")
            other.commit()
            other.execute("LOCK TABLE locked IN ACCESS EXCLUSIVE MODE")
            with within(Purpose.FLAG_CHECK):
                found, seconds = ask(database, "SELECT count(*) FROM locked")
            assert isinstance(found, OperationalError)
            assert seconds < DATABASE_SECONDS + SLACK_SECONDS
            with within(Purpose.FLAG_CHECK):
                wait_until(lambda: ask(database)[0] == (1,), timeout=5, what="another table")
            other.execute("DROP TABLE locked")

    def test_a_page_has_more_time_and_a_command_has_all(
        self, postgres: PostgresServer, database: DatabaseWrapper
    ) -> None:
        with within(Purpose.FLAG_CHECK):
            assert isinstance(ask(database, "SELECT pg_sleep(0.3)")[0], OperationalError)
        DATABASE.forget()
        with within(Purpose.PAGE):
            assert not isinstance(ask(database, "SELECT pg_sleep(0.3)")[0], OperationalError)
            assert isinstance(ask(database, "SELECT pg_sleep(1)")[0], OperationalError)
        assert not isinstance(ask(database, "SELECT pg_sleep(1)")[0], OperationalError)

    def test_a_killed_server_costs_no_time_and_is_back_at_once(
        self, postgres: PostgresServer, database: DatabaseWrapper
    ) -> None:
        with within(Purpose.FLAG_CHECK):
            ask(database)
            postgres.stop()
            for _ in range(3):
                found, seconds = ask(database)
                assert isinstance(found, OperationalError)
                assert seconds < AT_ONCE_SECONDS
            postgres.start()
            assert ask(database)[0] == (1,)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        with override_settings(CACHES=redis_caches(server.url, key_prefix="frozen")):
            yield server
        server.resume()


def call(alias: str) -> tuple[object, float]:
    began = time.monotonic()
    try:
        found: object = caches[alias].get("some key")
    except Exception as error:  # noqa: BLE001 - whatever it is
        found = error
    return found, time.monotonic() - began


class TestRedis:
    ALIASES = ("default", "cachalot", "featureflags")

    def test_all_caches_of_a_request_share_one_budget(self, redis: RedisServer) -> None:
        for alias in self.ALIASES:
            assert call(alias)[0] is None
        redis.pause()
        with within(Purpose.FLAG_CHECK):
            began = time.monotonic()
            answers: list[Any] = [call(alias)[0] for alias in self.ALIASES * 5]
            took = time.monotonic() - began
        assert took < REDIS_SECONDS + SLACK_SECONDS, "once, not for each call and retry"
        assert {type(answer).__name__ for answer in answers} == {"NoneType", "TimeoutError"}

    def test_others_do_not_wait_and_it_is_back_within_a_second(self, redis: RedisServer) -> None:
        call("default")
        redis.pause()
        with within(Purpose.FLAG_CHECK):
            call("default")
        with within(Purpose.FLAG_CHECK):
            assert call("featureflags")[1] < AT_ONCE_SECONDS
        redis.resume()
        with within(Purpose.PAGE):
            wait_until(lambda: call("featureflags")[0] is None, timeout=5, what="an answer")
        assert not REDIS.is_silent

    def test_many_slow_answers_are_one_wait(self, redis: RedisServer) -> None:
        """A budget, not a time-out for each call: twenty calls of 20 ms do not take 400 ms."""
        caches["default"].get("some key")
        client = cast("Any", caches["default"]).client.get_client()
        with within(Purpose.FLAG_CHECK):
            began = time.monotonic()
            for _ in range(20):
                try:
                    client.eval(
                        "local t=redis.call('TIME') repeat local n=redis.call('TIME') "
                        "until (n[1]-t[1])*1e6+n[2]-t[2] > 20000 return 1",
                        0,
                    )
                except Exception:  # noqa: BLE001 - the budget is spent
                    continue
            took = time.monotonic() - began
        assert took < REDIS_SECONDS + SLACK_SECONDS

    def test_a_command_has_its_own_time_out(self, redis: RedisServer) -> None:
        call("default")
        redis.pause()
        found, seconds = call("featureflags")
        assert isinstance(found, Exception)
        assert 0.4 < seconds < 1.5
