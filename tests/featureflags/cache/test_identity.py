"""Which cache the database knows, and what a transaction sees of its own writes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from featureflags.cache import (
    invalidation,
    outbox,
    protocol,
    snapshot_store,
)
from featureflags.cache.outbox import OutboxRow
from featureflags.contexts.results import ContextSource
from featureflags.evaluation.resolve import resolve
from featureflags.models.versions import RulesetVersion
from tests.featureflags.cache.protocol_calls import fill, fresh, left_behind
from tests.featureflags.undelivered import undelivered
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


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
