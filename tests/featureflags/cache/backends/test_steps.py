"""The steps of the protocol on a backend, in Redis and in files alike."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import cast

import pytest
from django.core.cache import caches
from django_redis import get_redis_connection
from redis.exceptions import ResponseError

from featureflags.cache.backends.file import SharedFileCache
from featureflags.cache.backends.protocol import SharedCache
from featureflags.cache.backends.redis import AT_ONCE
from featureflags.core.conf import app_settings
from tests.services.redis import redis_server
from tests.services.waiting import wait_until

pytestmark = pytest.mark.django_db

MANY = 2 * AT_ONCE + 1
LEASE = b"~12345678"


def backend() -> SharedCache:
    return cast("SharedCache", caches[app_settings().cache])


def read(*names: str) -> list[bytes | None]:
    return backend().send_read(names, (), b"", 0).result()


def lease(*names: str, seconds: float = 60, token: bytes = LEASE) -> list[bytes | None]:
    return backend().send_read((), names, token, seconds).result()


def swap(name: str, seen: bytes, new: bytes, seconds: float = 60) -> int:
    return backend().send_swap({name: (seen, new)}, seconds).result()


def test_it_is_one() -> None:
    assert isinstance(backend(), SharedCache)


def test_a_lease_is_left_where_nothing_is_stored() -> None:
    assert lease("a", "b") == [LEASE, LEASE]
    swap("a", LEASE, b"v1")
    assert lease("a", "b", "c", token=b"~other") == [b"v1", LEASE, b"~other"]


def test_names_may_be_read_and_leased_in_one_go() -> None:
    lease("a")
    assert backend().send_read(["v", "a"], ["b"], b"~2", 60).result() == [None, LEASE, b"~2"]
    assert read("v", "a", "b") == [None, LEASE, b"~2"]


def test_only_what_was_seen_is_replaced() -> None:
    lease("a", "b")
    swaps = {"a": (LEASE, b"v1"), "b": (b"~other", b"v1"), "gone": (LEASE, b"v1")}
    assert backend().send_swap(swaps, 60).result() == 1
    assert read("a", "b", "gone") == [b"v1", LEASE, None]
    assert backend().send_swap({}, 60).result() == 0


def test_any_number_of_names_and_any_bytes() -> None:
    names = [str(number) for number in range(MANY)]
    assert lease(*names) == [LEASE] * MANY
    values = {name: b"v" + bytes([int(name) % 256]) for name in names}
    swaps = {name: (LEASE, value) for name, value in values.items()}
    assert backend().send_swap(swaps, 60).result() == MANY
    assert backend().send_swap(swaps, 60).result() == 0
    assert read(*names) == list(values.values())
    backend().remove(names)
    assert read(*names) == [None] * MANY


def test_leases_and_entries_expire() -> None:
    lease("a", seconds=0.3)
    lease("b")
    swap("b", LEASE, b"v1", seconds=0.3)
    wait_until(lambda: read("a", "b") == [None, None], what="the end of both")
    assert swap("a", LEASE, b"v1") == 0


def test_publishing_keeps_the_lifetime_that_is_left() -> None:
    seen, _ = backend().lease_and_identify("v", LEASE, 0.5)
    assert seen == LEASE
    assert backend().publish("v", b"~other", b"1") is False
    assert backend().publish("v", LEASE, b"1") is True
    assert read("v") == [b"1"]
    wait_until(lambda: read("v") == [None], what="the end of the lease")
    assert backend().publish("v", LEASE, b"2") is False


def test_a_lease_of_another_is_shared() -> None:
    backend().lease_and_identify("v", LEASE, 60)
    assert backend().lease_and_identify("v", b"~other", 60)[0] == LEASE


def test_the_identity_stays_while_the_cache_does() -> None:
    first = backend().take_delivered()[1]
    assert first
    backend().remove(["a"])
    assert backend().take_delivered()[1] == first
    assert backend().lease_and_identify("v", LEASE, 60)[1] == first


def test_ids_of_outbox_rows_are_kept_until_they_are_taken() -> None:
    lease("a")
    assert backend().remove(["a"]) == 0
    assert backend().remove(["a"], [7, 2**62]) == 2
    assert backend().remove([], [8]) == 3
    assert backend().take_delivered()[0] == [7, 2**62, 8]
    assert backend().take_delivered()[0] == []


def test_of_two_that_take_them_one_gets_each() -> None:
    ids = range(200)
    backend().remove([], ids)
    with ThreadPoolExecutor(4) as pool:
        taken = pool.map(lambda _: backend().take_delivered()[0], range(8))
        assert sorted(chain.from_iterable(taken)) == list(ids)


@pytest.mark.production_stack
def test_an_answer_that_nobody_wants_any_more_is_not_given_to_the_next() -> None:
    lease("a", "b")
    backend().send_read(["a"], (), b"", 0).discard()
    backend().send_swap({"a": (LEASE, b"v1")}, 60).discard()
    assert read("b", "c") == [LEASE, None]
    assert lease("c") == [LEASE]


@pytest.mark.production_stack
def test_a_refused_batch_raises_and_what_follows_is_answered() -> None:
    cache = caches[app_settings().cache]
    get_redis_connection(app_settings().cache).lpush(cache.make_key("a"), "a list")
    lease("b")
    sent = backend().send_swap({"b": (LEASE, b"v1"), "a": (b"v1", b"v2")}, 60)
    with pytest.raises(ResponseError):
        sent.result()
    assert read("b") == [b"v1"]


@pytest.mark.production_stack
def test_a_restarted_redis_is_another_one(settings: pytest.FixtureRequest) -> None:
    with redis_server() as server:
        settings.CACHES = {  # type: ignore[attr-defined]  # pytest-django's settings
            **settings.CACHES,  # type: ignore[attr-defined]
            "own": {
                "BACKEND": "featureflags.cache.backends.redis.SharedRedisCache",
                "LOCATION": server.url,
            },
        }
        own = cast("SharedCache", caches["own"])
        first = own.take_delivered()[1]
        server.stop()
        server.start()
        assert own.take_delivered()[1] != first


def test_a_folder_that_was_put_back_is_another_cache(tmp_path: Path) -> None:
    """An older image of the folder brings old entries: it must not be taken for the same."""
    folder = tmp_path / "cache"
    cache = SharedFileCache(str(folder), {})
    first = cache.identity()
    assert SharedFileCache(str(folder), {}).identity() == first
    shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copy2)
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "copy", folder, copy_function=shutil.copy2)
    assert cache.identity() != first
    shutil.rmtree(folder)
    assert cache.identity() not in {first, ""}
