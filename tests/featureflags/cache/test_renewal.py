"""A renewal of the version: how often, what it works through, and what it deletes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from featureflags.cache import (
    outbox,
    pending_reads,
    protocol,
    snapshot_store,
)
from featureflags.cache.entries import VERSION_NAME
from featureflags.capture import own_writes
from featureflags.models import OutboxEvent
from featureflags.models.versions import RulesetVersion
from tests.featureflags.cache.protocol_calls import fill, fresh, left_behind, notify
from tests.featureflags.undelivered import undelivered
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


def seconds_left(name: str) -> float:
    """How long what the cache holds under this name still lives."""
    cache: Any = snapshot_store.backend()
    if connection.vendor == "sqlite":
        return float(cache._seconds_left(cache._path(name)))
    milliseconds = cache.client.get_client().pttl(*cache.names([name]))
    return float(milliseconds) / 1000


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
        monkeypatch.setattr(snapshot_store, "VERSION_SECONDS", 60.0)
        snapshot_store.remove_version()
        ask = outbox.in_force

        def slow() -> outbox.InForce:
            state = ask()
            time.sleep(0.4)
            return state

        with monkeypatch.context() as slower:
            slower.setattr(outbox, "in_force", slow)
            protocol.read([])
        assert pending_reads.begin_get(()).result().version is not None
        assert seconds_left(VERSION_NAME) <= 60.0 - 0.4

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
