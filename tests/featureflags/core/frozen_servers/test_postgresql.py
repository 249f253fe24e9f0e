"""A PostgreSQL that is stopped: it accepts, and never answers. The connections to it are watched by the kernel."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from kombu import Connection

from config.settings.databases import KEEPALIVE, POSTGRES_OPTIONS
from featureflags.core.deadlines import Purpose, within
from featureflags.core.outages import DATABASE
from featureflags.core.postgresql import base
from featureflags.core.postgresql.base import DatabaseWrapper, DeadlineConnection
from tests.featureflags.core.frozen_servers.waits import (
    DATABASE_SECONDS,
    a_second_later,
    patient,
)
from tests.services.postgres import PostgresServer, postgres_server
from tests.services.redis import RedisServer
from tests.services.silence import silent
from tests.services.waiting import PATIENCE_SECONDS, wait_until

pytestmark = [pytest.mark.production_stack, pytest.mark.django_db]

WAITED = f"within {DATABASE_SECONDS:.2f} s"
"""libpq's own shortest wait is 2 s, and an error of its own has other words."""


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
        DEFAULT_DB_ALIAS,
    )
    yield mine
    postgres.resume()
    mine.close()


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[DeadlineConnection]:
    """The connections that have tried another one. They do so soon."""
    found: list[DeadlineConnection] = []
    really = DeadlineConnection._try_another

    def try_another(connection: DeadlineConnection) -> None:
        found.append(connection)
        really(connection)

    monkeypatch.setattr(base, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(DeadlineConnection, "_try_another", try_another)
    return found


def ask(database: DatabaseWrapper, statement: str = "SELECT 1") -> object:
    """What it answers, or the words of the error."""
    try:
        database.close_if_unusable_or_obsolete()
        with database.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()
    except OperationalError as error:
        return str(error)


def ask_patiently(database: DatabaseWrapper) -> object:
    with patient():
        return ask(database)


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
        self,
        postgres: PostgresServer,
        database: DatabaseWrapper,
        no_second_try: None,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        assert ask(database) == (1,)
        postgres.pause()
        with within(Purpose.FLAG_CHECK):
            for _ in range(4):
                # The first one has waited for the answer to a ping.
                assert "it was not asked" in str(ask(database))
        assert WAITED in caplog.text
        totals = DATABASE.totals()
        assert totals.missed == 1
        assert totals.refused >= 4

    def test_the_admin_takes_no_short_pause_for_an_outage(
        self,
        postgres: PostgresServer,
        database: DatabaseWrapper,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        pause = 0.2
        assert base.PING_SECONDS < pause < base.ADMIN_PING_SECONDS
        assert ask(database) == (1,)
        with within(Purpose.ADMIN), monkeypatch.context() as slow:
            slow.setattr(base, "ADMIN_PING_SECONDS", PATIENCE_SECONDS)
            postgres.pause()
            resumed = threading.Timer(pause, postgres.resume)
            resumed.start()
            assert database.is_usable()
            resumed.join()
            assert DATABASE.totals().missed == 0
        with within(Purpose.ADMIN):
            postgres.pause()
            assert not database.is_usable()
            assert DATABASE.totals().missed == 1

    def test_a_new_connection_to_a_frozen_server(
        self, postgres: PostgresServer, database: DatabaseWrapper
    ) -> None:
        postgres.pause()
        with within(Purpose.FLAG_CHECK):
            assert WAITED in str(ask(database))

    def test_it_is_back_with_the_next_try(
        self, postgres: PostgresServer, database: DatabaseWrapper, no_second_try: None
    ) -> None:
        """Which is a second after the last one: see test_outages."""
        ask(database)
        postgres.pause()
        with within(Purpose.FLAG_CHECK):
            assert isinstance(ask(database), str)
        assert DATABASE.is_silent
        postgres.resume()
        assert "it was not asked" in str(ask_patiently(database))
        a_second_later(DATABASE)
        # A try that finds the server silent waits for PING_SECONDS, whatever the budget.
        wait_until(lambda: back(database), what="an answer")
        assert not DATABASE.is_silent

    def test_a_locked_table(self, postgres: PostgresServer, database: DatabaseWrapper) -> None:
        with psycopg.connect(postgres.url) as other:
            other.execute("CREATE TABLE locked (id int)")
            other.commit()
            other.execute("LOCK TABLE locked IN ACCESS EXCLUSIVE MODE")
            assert ask(database) == (1,)
            with within(Purpose.FLAG_CHECK):
                assert WAITED in str(ask(database, "SELECT count(*) FROM locked"))
            wait_until(lambda: ask_patiently(database) == (1,), what="another table")
            other.execute("DROP TABLE locked")

    def test_a_page_has_more_time_and_a_command_has_all(
        self, postgres: PostgresServer, database: DatabaseWrapper
    ) -> None:
        assert ask(database) == (1,)
        with within(Purpose.FLAG_CHECK):
            assert WAITED in str(ask(database, "SELECT pg_sleep(0.3)"))
        DATABASE.forget()
        with within(Purpose.PAGE):
            assert ask(database, "SELECT 1 FROM pg_sleep(0.2)") == (1,)
            assert "within 1.00 s" in str(ask(database, "SELECT pg_sleep(5)"))
        assert ask(database, "SELECT 1 FROM pg_sleep(1.1)") == (1,)

    def test_a_command_ends_where_the_server_takes_no_other_connection(
        self,
        postgres: PostgresServer,
        database: DatabaseWrapper,
        monkeypatch: pytest.MonkeyPatch,
        tries: list[DeadlineConnection],
    ) -> None:
        monkeypatch.setattr(base, "CONNECT_SECONDS", 2)  # libpq's shortest
        with database.cursor() as cursor:
            cursor.execute("SELECT 1")
            postgres.pause()
            with pytest.raises(OperationalError, match="took no other connection"):
                cursor.execute("SELECT count(*) FROM pg_class")
        assert tries
        assert DATABASE.is_silent
        postgres.resume()
        assert ask(database) == (1,), "a connection of its own, at once"
        assert not DATABASE.is_silent

    def test_a_command_waits_for_a_server_that_only_works(
        self,
        postgres: PostgresServer,
        database: DatabaseWrapper,
        tries: list[DeadlineConnection],
    ) -> None:
        with psycopg.connect(postgres.url, autocommit=True) as other:
            other.execute("SELECT pg_advisory_lock(1)")

            def let_go() -> None:
                wait_until(lambda: len(tries) > 1, what="another connection")
                other.execute("SELECT pg_advisory_unlock(1)")

            letting_go = threading.Thread(target=let_go)
            letting_go.start()
            assert ask(database, "SELECT 1 FROM pg_advisory_lock(1)") == (1,)
            letting_go.join()
        assert DATABASE.totals().missed == 0

    def test_a_replica_that_is_frozen_is_no_reason_not_to_ask_the_primary(
        self, database: DatabaseWrapper, no_second_try: None
    ) -> None:
        with silent() as frozen:
            elsewhere = {**database.settings_dict, "PORT": frozen.port}
            replica = DatabaseWrapper(elsewhere, "frozen replica")
            with within(Purpose.FLAG_CHECK):
                assert isinstance(ask(replica), str)
                assert ask(database) == (1,)
                assert not DATABASE.totals().missed
                assert isinstance(ask(replica), str)
            assert frozen.connections() == 1, "the primary's answer says nothing of the replica"

    def test_a_killed_server_costs_no_time_and_is_back_at_once(
        self, postgres: PostgresServer, database: DatabaseWrapper
    ) -> None:
        ask(database)
        postgres.stop()
        with within(Purpose.FLAG_CHECK):
            for _ in range(3):
                assert isinstance(ask(database), str)
        assert DATABASE.totals().missed == 0, "nobody has waited"
        assert not DATABASE.is_silent
        postgres.start()
        assert ask_patiently(database) == (1,)


def back(database: DatabaseWrapper) -> bool:
    """Whether it answers the next try."""
    if DATABASE.outage is not None:
        a_second_later(DATABASE)
    return ask_patiently(database) == (1,)
