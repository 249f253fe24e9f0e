"""The protocol on the real store: what is kept, what is refused, and that a failure stays a failure."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
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
    pending_reads,
    protocol,
    snapshot_store,
)
from featureflags.cache.outbox import OutboxRow
from featureflags.cache.snapshot_store import CacheRead
from featureflags.capture import own_writes
from featureflags.contexts.results import ContextSource
from featureflags.core import monitoring
from featureflags.core.conf import app_settings
from featureflags.core.database import IsCurrent
from featureflags.evaluation.resolve import resolve
from featureflags.kinds.registry import user_kind
from featureflags.models import OutboxEvent
from featureflags.models.versions import RulesetVersion
from tests.emptying import empty_caches
from tests.factories import UserFactory
from tests.featureflags.undelivered import undelivered
from tests.services.waiting import wait_until
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def snapshot() -> Any:
    return user_kind().snapshot_of(
        UserFactory.create(metadata={"plan": "pro", "n": 2**60, "x": [1.5, None]})
    )


def change(settings: Settings, **values: Any) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **values}


def fill(source: CacheRead, *snapshots: Any) -> None:
    protocol.fill(source, snapshots, is_current=True)


def fresh(key: str) -> Any:
    return protocol.read([key]).fresh.get(key)


def notify(key: str) -> bool:
    return protocol.notify([OutboxRow(id=None, keys=(key,))])


@contextmanager
def failing(name: str) -> Iterator[None]:
    """Every query that names this table fails, as when the server is gone."""

    def fail(execute: Any, sql: str, *rest: Any) -> Any:
        if name in sql:
            raise OperationalError("server closed the connection unexpectedly")
        return execute(sql, *rest)

    with connection.execute_wrapper(fail):
        yield


def left_behind(key: str, rows: int = 1) -> int:
    """Rows of the outbox that a process has left that died before it could notify the cache; the id of one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own_writes, "_committed", [])
        OutboxEvent.objects.bulk_create(OutboxEvent(kind="user", keys=[key]) for _ in range(rows))
    return int(OutboxEvent.objects.latest("pk").pk)


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


class TestRenew:
    def test_one_query_every_four_seconds(
        self, snapshot: Any, django_assert_num_queries: Callable[[int], Any]
    ) -> None:
        snapshot_store.remove_version()
        with django_assert_num_queries(1):
            for _ in range(3):
                assert protocol.read([]).version

    def test_the_four_seconds_count_from_before_the_query(
        self, snapshot: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However long the database takes: the version lives for what is left of its lease."""
        monkeypatch.setattr(snapshot_store, "VERSION_SECONDS", 0.6)
        snapshot_store.remove_version()
        ask = outbox.in_force

        def slow() -> outbox.InForce:
            state = ask()
            time.sleep(0.4)
            return state

        with monkeypatch.context() as slower:
            slower.setattr(outbox, "in_force", slow)
            protocol.read([])
        published = time.monotonic()
        wait_until(
            lambda: pending_reads.begin_get(()).result().version is None,
            timeout=20,
            what="the version to expire",
        )
        assert time.monotonic() - published < 0.5

    def test_a_write_between_the_query_and_the_publication_is_not_lost(
        self, snapshot: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        snapshot_store.remove_version()
        ask = outbox.in_force
        asked: list[str] = []

        def and_then_a_write() -> outbox.InForce:
            state = ask()
            if not asked:
                asked.append(state.version)
                with transaction.atomic():
                    RulesetVersion.raise_version()
            return state

        monkeypatch.setattr(outbox, "in_force", and_then_a_write)
        protocol.read([])
        assert protocol.read([]).version == RulesetVersion.read() != asked[0]

    def test_entries_are_read_again_after_the_outbox_was_worked_through(
        self, snapshot: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another process notifies the cache between our first read and our query, which then finds nothing."""
        fill(protocol.read([snapshot.key]), snapshot)
        snapshot_store.remove_version()
        lease = snapshot_store.lease_version

        def and_then_another_notifies() -> tuple[bytes, str] | None:
            notify(snapshot.key)
            return lease()

        monkeypatch.setattr(snapshot_store, "lease_version", and_then_another_notifies)
        assert protocol.read([snapshot.key]).fresh == {}

    def test_a_renewal_removes_what_a_dead_process_has_left(self, snapshot: Any) -> None:
        fill(protocol.read([snapshot.key]), snapshot)
        left_behind(snapshot.key)
        assert fresh(snapshot.key), "nobody has renewed the version yet"
        snapshot_store.remove_version()
        assert fresh(snapshot.key) is None
        assert not undelivered()

    def test_a_long_outbox_is_worked_through(self, snapshot: Any) -> None:
        left_behind(snapshot.key, outbox.rows_at_once() + 3)
        snapshot_store.remove_version()
        assert not protocol.read([snapshot.key]).failed
        assert not undelivered()

    def test_while_it_takes_too_long_readers_ask_the_database(
        self, snapshot: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        left_behind(snapshot.key, 2)
        monkeypatch.setattr(outbox, "rows_at_once", lambda: 1)
        monkeypatch.setattr(outbox, "most_delivered", lambda: 9)
        monkeypatch.setattr(protocol, "NOTIFY_SECONDS", 0)
        for is_left in (True, True, False):
            snapshot_store.remove_version()
            assert protocol.read([snapshot.key]).failed is is_left

    def test_rows_that_another_cache_was_notified_of_are_not_known_to_this_one(
        self, snapshot: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between our query and our look at the outbox another cache begins an epoch of its own."""
        fill(protocol.read([snapshot.key]), snapshot)
        left_behind(snapshot.key)
        snapshot_store.remove_version()
        notify_pending = protocol.notify_pending

        def after_another_cache(seconds: float) -> bool:
            epoch = outbox.in_force().epoch
            with monkeypatch.context() as elsewhere:
                elsewhere.setattr(own_writes, "_committed", [])
                RulesetVersion.objects.update(identity="another cache", epoch=epoch + 1)
                OutboxEvent.objects.all().delete()
            return notify_pending(seconds)

        with monkeypatch.context() as race:
            race.setattr(protocol, "notify_pending", after_another_cache)
            assert protocol.read([snapshot.key]).fresh == {}
        assert protocol.read([snapshot.key]).fresh == {}

    def test_an_epoch_that_begins_with_the_outbox_is_used_by_nobody_yet(
        self, snapshot: Any
    ) -> None:
        """A row that says that everybody has changed."""
        fill(protocol.read([snapshot.key]), snapshot)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(own_writes, "_committed", [])
            OutboxEvent.objects.create(kind="user", keys=None)
        snapshot_store.remove_version()
        assert protocol.read([snapshot.key]).fresh == {}
        assert protocol.read([snapshot.key]).fresh == {}


@pytest.mark.production_stack
class TestDelivered:
    """Rows of the outbox whose entries the cache has removed. On SQLite none stays behind its write."""

    def test_they_are_deleted_by_the_next_renewal(
        self, snapshot: Any, django_assert_num_queries: Callable[[int], Any]
    ) -> None:
        protocol.read([])
        fill(protocol.read([snapshot.key]), snapshot)
        with django_assert_num_queries(1):
            User.objects.update(role="admin")
        assert OutboxEvent.objects.exists()
        fill(protocol.read([snapshot.key]), snapshot)
        snapshot_store.remove_version()
        assert fresh(snapshot.key) == snapshot, "the entry is not removed once more"
        assert not OutboxEvent.objects.exists()

    def test_a_writer_deletes_them_where_they_are_many(
        self, snapshot: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        protocol.read([])
        monkeypatch.setattr(outbox, "most_delivered", lambda: 2)
        left = []
        for role in ("admin", "user", "system"):
            User.objects.update(role=role)
            left.append(OutboxEvent.objects.count())
        assert left == [1, 2, 0]

    def test_a_cache_that_has_lost_them_is_notified_once_more(self, snapshot: Any) -> None:
        protocol.read([])
        User.objects.update(role="admin")
        snapshot_store.take_delivered()
        fill(protocol.read([snapshot.key]), snapshot)
        snapshot_store.remove_version()
        assert fresh(snapshot.key) is None
        assert not OutboxEvent.objects.exists()

    def test_within_a_transaction_they_go_after_its_commit(self, snapshot: Any) -> None:
        protocol.read([])
        User.objects.update(role="admin")
        with transaction.atomic():
            protocol.delete_delivered()
            assert OutboxEvent.objects.exists()
        assert not OutboxEvent.objects.exists()


class TestIdentity:
    def test_a_cache_that_the_database_does_not_know_begins_an_epoch(self, snapshot: Any) -> None:
        """As after a restart, a failover, or with an older image: its entries are spares."""
        fill(protocol.read([snapshot.key]), snapshot)
        before = outbox.in_force()
        RulesetVersion.objects.update(identity="another cache")
        snapshot_store.remove_version()
        read = protocol.read([snapshot.key])
        assert read.fresh == {}
        assert read.spare == {snapshot.key: snapshot}
        after = outbox.in_force()
        assert after.epoch > before.epoch
        assert after.identity == before.identity
        fill(read, snapshot)
        assert fresh(snapshot.key) == snapshot

    def test_a_process_that_lost_the_race_for_the_epoch_uses_nothing(
        self, snapshot: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(protocol.read([snapshot.key]), snapshot)
        RulesetVersion.objects.update(identity="another cache")
        snapshot_store.remove_version()
        monkeypatch.setattr(outbox, "adopt", lambda *_: None)
        read = protocol.read([snapshot.key])
        assert (read.fresh, read.failed) == ({}, True)
        assert read.version

    def test_an_outbox_row_that_was_delivered_to_a_superseded_cache_alone_stays(
        self, snapshot: Any
    ) -> None:
        protocol.read([])
        row = OutboxRow(id=left_behind(snapshot.key), keys=(snapshot.key,))
        identity = RulesetVersion.objects.get().identity
        RulesetVersion.objects.update(identity="the cache in use")
        assert protocol.notify([row])
        assert undelivered()
        RulesetVersion.objects.update(identity=identity)
        assert protocol.notify([row])
        assert not undelivered()

    def test_everybody(self, snapshot: Any) -> None:
        fill(protocol.read([snapshot.key]), snapshot)
        invalidation.raise_epoch()
        assert fresh(snapshot.key) is None

    def test_an_outbox_row_without_keys_is_about_everybody(self, snapshot: Any) -> None:
        fill(protocol.read([snapshot.key]), snapshot)
        assert protocol.notify([OutboxRow(id=None, keys=None)])
        assert fresh(snapshot.key) is None

    def test_an_epoch_is_later_than_any_that_a_restored_database_has_forgotten(self) -> None:
        protocol.read([])
        assert outbox.in_force().epoch >= int(time.time()) - 60


class TestOwnWrites:
    def test_a_transaction_reads_its_own_writes_and_keeps_none(self, snapshot: Any) -> None:
        fill(protocol.read([snapshot.key]), snapshot)
        with transaction.atomic():
            User.objects.update(role="admin")
            read = protocol.read([snapshot.key])
            assert (read.fresh, read.is_own) == ({}, True)
            assert resolve(snapshot.key).source is ContextSource.DATABASE
            transaction.set_rollback(True)
        assert fresh(snapshot.key) == snapshot, "nothing has changed for anybody"

    def test_after_a_savepoint_is_rolled_back_the_transaction_still_asks_the_database(
        self, snapshot: Any
    ) -> None:
        """Which of its writes are left is not known before the end: too much is removed, never too little."""
        with transaction.atomic():
            with transaction.atomic():
                User.objects.update(role="admin")
                transaction.set_rollback(True)
            assert protocol.read([snapshot.key]).is_own
            assert resolve(snapshot.key).context.get("role") == snapshot.role
        assert not protocol.read([snapshot.key]).is_own

    def test_after_the_commit_nothing_is_left(self, snapshot: Any) -> None:
        with transaction.atomic():
            User.objects.update(role="admin")
            User.objects.update(name="New")
        assert not protocol.read([snapshot.key]).is_own
        assert not undelivered()

    def test_a_rolled_back_segment_write_costs_nothing_afterwards(
        self, snapshot: Any, django_assert_num_queries: Callable[[int], Any]
    ) -> None:
        resolve(snapshot.key)
        resolve(snapshot.key)
        with transaction.atomic():
            RulesetVersion.raise_version()
            transaction.set_rollback(True)
        with django_assert_num_queries(0):
            for _ in range(200):
                resolve(snapshot.key)


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
