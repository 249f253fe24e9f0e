"""Batches of the cache backends, in Redis and in files alike: what stands is never overwritten."""

from __future__ import annotations

from typing import cast

import pytest
from django.core.cache import caches
from django_redis import get_redis_connection
from redis.exceptions import ResponseError

from featureflags.cache.backends.redis import AT_ONCE, SharedRedisCache
from featureflags.cache.snapshot_store import Replacing
from featureflags.core.conf import app_settings
from tests.services.waiting import wait_until

pytestmark = pytest.mark.django_db

MANY = 2 * AT_ONCE + 1


def backend() -> Replacing:
    return cast("Replacing", caches[app_settings().cache])


def get(*keys: str) -> dict[str, bytes]:
    return dict(caches[app_settings().cache].get_many(keys))


def test_what_is_there_is_not_added() -> None:
    assert backend().add_many({"a": b"v1", "b": b"v1"}, 60) == 2
    assert backend().add_many({"b": b"v2", "c": b"v2"}, 60) == 1
    assert get("a", "b", "c") == {"a": b"v1", "b": b"v1", "c": b"v2"}
    assert backend().add_many({}, 60) == 0


def test_only_what_was_seen_is_replaced() -> None:
    backend().add_many({"a": b"v1", "b": b"v1"}, 60)
    changes = {"a": (b"v1", b"v2"), "b": (b"v0", b"v2"), "gone": (b"v1", b"v2")}
    assert backend().replace_many(changes, 60) == 1
    assert get("a", "b", "gone") == {"a": b"v2", "b": b"v1"}
    assert backend().replace_many({}, 60) == 0


def test_any_number_of_keys_and_any_bytes() -> None:
    values = {str(number): b"v" + bytes([number % 256]) for number in range(MANY)}
    assert backend().add_many(values, 60) == MANY
    assert get(*values) == values
    changes = {key: (old, old + b"\x00") for key, old in values.items()}
    assert backend().replace_many(changes, 60) == MANY
    assert backend().replace_many(changes, 60) == 0
    assert get(*values) == {key: new for key, (_, new) in changes.items()}


@pytest.mark.parametrize("way", ["add", "replace"])
def test_entries_end_after_their_time(way: str) -> None:
    if way == "add":
        backend().add_many({"a": b"v1"}, 0.3)
    else:
        backend().add_many({"a": b"v0"}, 60)
        backend().replace_many({"a": (b"v0", b"v1")}, 0.3)
    wait_until(lambda: not get("a"), what="the end of the entry")
    assert backend().replace_many({"a": (b"v1", b"v2")}, 60) == 0
    assert backend().add_many({"a": b"v3"}, 60) == 1


def redis_backend() -> SharedRedisCache:
    return cast("SharedRedisCache", caches[app_settings().cache])


@pytest.mark.production_stack
def test_an_answer_that_nobody_wants_any_more_is_not_given_to_the_next() -> None:
    redis_backend().add_many({"a": b"v1", "b": b"v1"}, 60)
    redis_backend().send_reads(["a"]).close()
    redis_backend().send_writes({}, {"a": (b"v1", b"v2")}, 60).close()
    assert redis_backend().send_reads(["b", "c"]).result() == {"b": b"v1"}
    assert redis_backend().add_many({"c": b"v1"}, 60) == 1


@pytest.mark.production_stack
def test_a_refused_batch_raises_and_what_follows_is_answered() -> None:
    name = redis_backend().make_key("a")
    get_redis_connection(app_settings().cache).lpush(name, "a list")
    sent = redis_backend().send_writes({"b": b"v1"}, {"a": (b"v1", b"v2")}, 60)
    with pytest.raises(ResponseError):
        sent.result()
    assert redis_backend().send_reads(["b"]).result() == {"b": b"v1"}
