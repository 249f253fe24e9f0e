"""The snapshot store: what is kept, what is refused, and that failures stay failures."""

from __future__ import annotations

import logging
import time
from typing import Any

import msgspec
import pytest
from django.core.cache import caches
from django.db import transaction
from pytest_django.fixtures import Settings

from featureflags.cache import entries, snapshot_store
from featureflags.core import monitoring
from featureflags.core.conf import app_settings
from tests.factories import UserFactory
from tests.services.waiting import wait_until
from users.selectors import snapshot_of
from users.snapshots import UserSnapshot

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def snapshot() -> UserSnapshot:
    return snapshot_of(UserFactory.create(metadata={"plan": "pro", "n": 2**60, "x": [1.5, None]}))


def change(settings: Settings, **values: Any) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **values}


def test_what_is_filled_is_found(snapshot: UserSnapshot) -> None:
    key = snapshot.key
    read = snapshot_store.read([key])
    assert not read.fresh
    snapshot_store.fill(read, [snapshot])
    assert snapshot_store.read([key]).fresh == {key: snapshot}
    assert not snapshot_store.read([key]).failed


def test_a_write_that_is_under_way_keeps_every_fill_out(snapshot: UserSnapshot) -> None:
    before = snapshot_store.read([snapshot.key])
    snapshot_store.mark_open([snapshot.key])
    snapshot_store.fill(before, [snapshot])
    snapshot_store.fill(snapshot_store.read([snapshot.key]), [snapshot])
    assert snapshot_store.read([snapshot.key]).fresh == {}


def test_a_write_that_has_committed_keeps_out_who_read_before_it(snapshot: UserSnapshot) -> None:
    snapshot_store.fill(snapshot_store.read([snapshot.key]), [snapshot])
    missed = snapshot_store.CacheRead(began=time.monotonic())
    found = snapshot_store.read([snapshot.key])
    snapshot_store.drop([snapshot.key])
    between = snapshot_store.read([snapshot.key])
    snapshot_store.drop([snapshot.key])
    for before in (missed, found, between):
        snapshot_store.fill(before, [snapshot])
        assert snapshot_store.read([snapshot.key]).fresh == {}


def test_who_saw_that_a_write_has_committed_may_fill(snapshot: UserSnapshot) -> None:
    snapshot_store.drop([snapshot.key])
    snapshot_store.fill(snapshot_store.read([snapshot.key]), [snapshot])
    assert snapshot_store.read([snapshot.key]).fresh == {snapshot.key: snapshot}


def test_a_fill_after_the_marker_has_gone_is_allowed(
    snapshot: UserSnapshot, settings: Settings
) -> None:
    change(settings, MARKER_SECONDS=1)
    snapshot_store.mark_open([snapshot.key])

    def filled() -> object:
        snapshot_store.fill(snapshot_store.read([snapshot.key]), [snapshot])
        return snapshot_store.read([snapshot.key]).fresh

    assert wait_until(filled, what="the end of the marker") == {snapshot.key: snapshot}


def test_a_read_older_than_half_a_marker_fills_nothing(
    snapshot: UserSnapshot, settings: Settings
) -> None:
    read = snapshot_store.read([snapshot.key])
    assert not read.failed
    aged = snapshot_store.CacheRead(began=read.began - app_settings().marker_seconds / 2 - 0.1)
    snapshot_store.fill(aged, [snapshot])
    snapshot_store.fill_version(aged, "1-x")
    found = snapshot_store.read([snapshot.key])
    assert (found.version, found.stored) == (None, {})


def test_a_fill_never_overwrites(snapshot: UserSnapshot) -> None:
    read = snapshot_store.read([snapshot.key])
    newer = msgspec.structs.replace(snapshot, role="admin")
    snapshot_store.fill(snapshot_store.read([snapshot.key]), [newer])
    snapshot_store.fill(read, [snapshot])
    assert snapshot_store.read([snapshot.key]).fresh[snapshot.key].role == "admin"


def test_what_is_rolled_back_is_never_kept(snapshot: UserSnapshot) -> None:
    with transaction.atomic():
        snapshot_store.fill(snapshot_store.read([snapshot.key]), [snapshot])
        snapshot_store.fill_version(snapshot_store.read(()), "7-rolledback")
        transaction.set_rollback(True)
    assert snapshot_store.read([snapshot.key]).fresh == {}
    assert snapshot_store.read(()).version is None


def test_past_its_time_an_entry_is_a_spare_that_a_fill_replaces(
    snapshot: UserSnapshot, settings: Settings
) -> None:
    change(settings, SNAPSHOT_SECONDS=-1)
    snapshot_store.fill(snapshot_store.read([snapshot.key]), [snapshot])
    read = snapshot_store.read([snapshot.key])
    assert read.fresh == {}
    assert read.spare == {snapshot.key: snapshot}
    change(settings, SNAPSHOT_SECONDS=60)
    newer = msgspec.structs.replace(snapshot, role="admin")
    snapshot_store.fill(read, [newer])
    assert snapshot_store.read([snapshot.key]).fresh == {snapshot.key: newer}
    snapshot_store.drop([snapshot.key])
    snapshot_store.fill(read, [snapshot])
    assert snapshot_store.read([snapshot.key]).fresh == {}, (
        "the spare that was read is there no more"
    )


def test_last_seen_is_rewritten_in_place(snapshot: UserSnapshot) -> None:
    snapshot_store.fill(snapshot_store.read([snapshot.key]), [snapshot])
    snapshot_store.rewrite_last_seen([snapshot.key], 1_700_000_000_000_000)
    found = snapshot_store.read([snapshot.key]).fresh[snapshot.key]
    assert found == msgspec.structs.replace(snapshot, last_seen_at=1_700_000_000_000_000)


@pytest.mark.parametrize("stands", ["nothing", "a marker"])
def test_who_read_before_last_seen_was_set_fills_nothing(
    snapshot: UserSnapshot, stands: str
) -> None:
    if stands == "a marker":
        snapshot_store.drop([snapshot.key])
    before = snapshot_store.read([snapshot.key])
    snapshot_store.rewrite_last_seen([snapshot.key], 1)
    snapshot_store.fill(before, [snapshot])
    assert snapshot_store.read([snapshot.key]).fresh == {}


def test_another_release_s_entry_is_a_miss_and_counted(snapshot: UserSnapshot) -> None:
    cache = caches[app_settings().cache]
    cache.set(entries.snapshot_key(snapshot.key), b"\x93\x01\x02\x03")
    assert snapshot_store.read([snapshot.key]).fresh == {}
    assert monitoring.counts()["cache_undecodable"] == 1


def test_no_personal_data_stays_behind_a_drop(snapshot: UserSnapshot) -> None:
    snapshot_store.fill(snapshot_store.read([snapshot.key]), [snapshot])
    snapshot_store.drop([snapshot.key])
    left = caches[app_settings().cache].get(entries.snapshot_key(snapshot.key))
    assert left.startswith(entries.COMMITTED)
    assert len(left) == len(entries.committed_marker())


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
        self, snapshot: UserSnapshot, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING, "featureflags")
        caplog.clear()
        monitoring.forget()
        for _ in range(3):
            snapshot_store.resume()
            assert snapshot_store.read([snapshot.key]).failed
        snapshot_store.fill(snapshot_store.CacheRead(began=time.monotonic()), [snapshot])
        assert snapshot_store.drop([snapshot.key]) is False
        assert snapshot_store.mark_open([snapshot.key]) is False
        assert snapshot_store.rewrite_last_seen([snapshot.key], 1) is False
        assert snapshot_store.publish_version("2-x") is False
        assert monitoring.counts() == {
            "cache_read_failed": 3,
            "cache_fill_failed": 1,
            "cache_drop_failed": 2,
            "cache_rewrite_failed": 1,
            "cache_publish_failed": 1,
        }
        messages = [record.getMessage() for record in caplog.records]
        assert len(messages) == 5
        assert not any("@" in message for message in messages)

    def test_a_failure_spares_the_next_readers_the_wait(self, snapshot: UserSnapshot) -> None:
        monitoring.forget()
        for _ in range(5):
            assert snapshot_store.read([snapshot.key]).failed
        assert monitoring.counts()["cache_read_failed"] == 1
