"""The protocol on the real store: what is kept, what is refused, and that a failure stays a failure."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from django.core.cache import caches
from django.db import OperationalError, connection, transaction
from pytest_django.fixtures import Settings

from featureflags.cache import (
    entries,
    invalidation,
    outbox,
    protocol,
    snapshot_store,
)
from featureflags.cache.snapshot_store import CacheRead
from featureflags.contexts.results import ContextSource
from featureflags.core import monitoring
from featureflags.core.conf import app_settings
from featureflags.core.database import IsCurrent
from featureflags.evaluation.resolve import resolve
from featureflags.kinds.registry import user_kind
from featureflags.models import OutboxEvent
from tests.emptying import empty_caches
from tests.featureflags.cache.protocol_calls import fill, fresh, notify
from tests.featureflags.undelivered import undelivered
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


def change(settings: Settings, **values: Any) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **values}


@contextmanager
def failing(name: str) -> Iterator[None]:
    """Every query that names this table fails, as when the server is gone."""

    def fail(execute: Any, sql: str, *rest: Any) -> Any:
        if name in sql:
            raise OperationalError("server closed the connection unexpectedly")
        return execute(sql, *rest)

    with connection.execute_wrapper(fail):
        yield


class TestFill:
    def test_what_is_filled_is_found(self, snapshot: Any) -> None:
        read = protocol.read([snapshot.key])
        assert not read.fresh
        fill(read, snapshot)
        assert fresh(snapshot.key) == snapshot

    def test_only_over_what_its_reader_saw(self, snapshot: Any) -> None:
        """A write between a read and its fill, whatever the read had found."""
        cold = protocol.read([snapshot.key])
        notify(snapshot.key)
        between = protocol.read([snapshot.key])
        notify(snapshot.key)
        for read in (cold, between):
            fill(read, snapshot)
            assert fresh(snapshot.key) is None
        fill(protocol.read([snapshot.key]), snapshot)
        warm = protocol.read([snapshot.key])
        notify(snapshot.key)
        fill(warm, snapshot)
        assert fresh(snapshot.key) is None

    def test_never_where_nothing_is_stored(self, snapshot: Any) -> None:
        """Evicted, flushed or removed: a fill that comes late finds no lease, and adds nothing."""
        read = protocol.read([snapshot.key])
        empty_caches()
        fill(read, snapshot)
        assert fresh(snapshot.key) is None

    def test_two_readers_share_a_lease_and_the_first_fill_wins(self, snapshot: Any) -> None:
        first, second = protocol.read([snapshot.key]), protocol.read([snapshot.key])
        assert first.stored == second.stored
        fill(second, msgspec.structs.replace(snapshot, role="admin"))
        fill(first, snapshot)
        found = fresh(snapshot.key)
        assert found is not None
        assert found.role == "admin"

    def test_two_fills_never_write_the_same_bytes(self, snapshot: Any) -> None:
        """A compare-and-swap over an entry must not take a later, equal one for it."""
        stored = set()
        for _ in range(20):
            notify(snapshot.key)
            fill(protocol.read([snapshot.key]), snapshot)
            stored.add(protocol.read([snapshot.key]).stored[snapshot.key])
        assert len(stored) == 20

    def test_a_row_that_may_be_old_is_not_kept(self, snapshot: Any) -> None:
        protocol.fill(protocol.read([snapshot.key]), [snapshot], is_current=False)
        assert fresh(snapshot.key) is None

    def test_past_its_time_an_entry_is_a_spare_that_a_fill_replaces(
        self, snapshot: Any, settings: Settings
    ) -> None:
        change(settings, SNAPSHOT_SECONDS=0)
        fill(protocol.read([snapshot.key]), snapshot)
        read = protocol.read([snapshot.key])
        assert read.fresh == {}
        assert read.spare == {snapshot.key: snapshot}
        change(settings, SNAPSHOT_SECONDS=60)
        newer = msgspec.structs.replace(snapshot, role="admin")
        fill(read, newer)
        assert fresh(snapshot.key) == newer


class TestIsCurrent:
    """Whether the query that reads a row says that the row may be kept."""

    def ask(self, key: str) -> bool:
        return user_kind().snapshots_and([key], IsCurrent(), using="default")[1]

    def test_outside_of_a_transaction(self, snapshot: Any) -> None:
        assert self.ask(snapshot.key)

    def test_not_once_the_transaction_has_written(self, snapshot: Any) -> None:
        with transaction.atomic():
            User.objects.update(name="New")
            assert not self.ask(snapshot.key)
        assert self.ask(snapshot.key)

    def test_at_read_committed_a_transaction_that_only_reads_may_fill(self, snapshot: Any) -> None:
        with transaction.atomic():
            self.ask(snapshot.key)
            assert self.ask(snapshot.key) == (connection.vendor == "postgresql")

    @pytest.mark.production_stack
    @pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
    def test_not_in_an_older_snapshot(self, snapshot: Any, level: str) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
            assert not self.ask(snapshot.key)
            assert not outbox.in_force().is_current

    def test_a_reader_in_an_older_snapshot_stores_nothing(self, snapshot: Any) -> None:
        """REPEATABLE READ on PostgreSQL, any transaction on SQLite: it sees the old row after a write
        of another connection was delivered."""
        if connection.vendor == "sqlite":
            with transaction.atomic():
                resolve(snapshot.key)
        else:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                resolve(snapshot.key)
        found = caches[app_settings().cache].get(entries.name_of(snapshot.key))
        assert found is None or entries.is_lease(found)
        assert protocol.read([]).version


def test_another_release_s_entry_is_a_miss_and_counted(snapshot: Any) -> None:
    caches[app_settings().cache].set(entries.name_of(snapshot.key), b"\x93\x01\x02\x03")
    assert fresh(snapshot.key) is None
    assert monitoring.counts()["cache_undecodable"]


def test_no_personal_data_stays_after_a_write(snapshot: Any) -> None:
    fill(protocol.read([snapshot.key]), snapshot)
    notify(snapshot.key)
    assert caches[app_settings().cache].get(entries.name_of(snapshot.key)) is None


def test_without_the_database_an_entry_is_a_spare(snapshot: Any) -> None:
    fill(protocol.read([snapshot.key]), snapshot)
    snapshot_store.remove_version()
    with failing("featureflags_rulesetversion"):
        read = protocol.read([snapshot.key])
    assert read.database_failed
    assert (read.fresh, read.spare) == ({}, {snapshot.key: snapshot})


def test_a_backend_without_compare_and_swap_is_not_used(snapshot: Any, settings: Settings) -> None:
    locmem = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    settings.CACHES = {**settings.CACHES, "other": locmem}
    change(settings, CACHE="other")
    read = protocol.read([snapshot.key])
    assert read.failed
    assert read.version
    assert resolve(snapshot.key).source is ContextSource.DATABASE
    assert monitoring.counts()["cache_unsupported"]


class TestDeadCache:
    """A backend that raises, as django-redis does when Redis is gone."""

    @pytest.fixture(autouse=True)
    def dead_redis(self, settings: Settings) -> None:
        settings.CACHES = {
            **settings.CACHES,
            "dead": {
                "BACKEND": "featureflags.cache.backends.redis.SharedRedisCache",
                "LOCATION": "redis://127.0.0.1:1/0",
                "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 0.2, "SOCKET_TIMEOUT": 0.2},
            },
        }
        change(settings, CACHE="dead")

    def test_everything_is_survived_counted_and_logged_once(
        self, snapshot: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING, "featureflags")
        caplog.clear()
        monitoring.forget()
        for _ in range(3):
            snapshot_store.resume()
            assert protocol.read([snapshot.key]).failed
        stored = {snapshot.key: b"~lease"}
        fill(CacheRead(began=time.monotonic(), stored=stored, epoch=1), snapshot)
        assert notify(snapshot.key) is False
        assert snapshot_store.remove_version() is False
        assert monitoring.counts() == {
            "cache_read_failed": 3,
            "cache_fill_failed": 1,
            "cache_remove_failed": 2,
        }
        messages = [record.getMessage() for record in caplog.records]
        assert len([each for each in messages if each.startswith("The cache failed")]) == 3
        assert not any("@" in message for message in messages)

    def test_a_failure_spares_the_next_readers_the_wait(self, snapshot: Any) -> None:
        snapshot_store.resume()  # making the user was a failed write
        monitoring.forget()
        for _ in range(5):
            assert protocol.read([snapshot.key]).failed
        assert monitoring.counts()["cache_read_failed"] == 1

    def test_a_write_is_delivered_once_the_cache_is_back(
        self, snapshot: Any, settings: Settings
    ) -> None:
        invalidation.touched("user", [snapshot.key])
        assert OutboxEvent.objects.filter(kind="user").exists()
        change(settings, CACHE="featureflags")
        snapshot_store.resume()
        protocol.read([])
        assert not undelivered()
