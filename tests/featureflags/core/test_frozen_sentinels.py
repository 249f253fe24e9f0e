"""Redis behind Sentinels that are killed or frozen, TLS to a frozen Redis, and commands too large for a buffer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, cast

import pytest
from django.core.cache import CacheHandler
from redis.exceptions import RedisError

from config.settings.caches import redis_caches
from featureflags.core import outages
from featureflags.core.deadlines import Purpose, within
from featureflags.core.outages import REDIS, servers
from featureflags.core.redis_sentinel import SentinelDeadlineFactory
from tests.services.guarded import free_port
from tests.services.redis import RedisServer, redis_server
from tests.services.sentinel import PRIMARY, ReplicaServer, Sentinel
from tests.services.silence import Silent, silent
from tests.services.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.production_stack

BUDGET_SECONDS = 0.6
PLENTY_SECONDS = 6.0
"""A budget of which a busy machine leaves enough for the second Sentinel."""
OWN_SECONDS = 2 * PATIENCE_SECONDS
"""The time-outs of the connections themselves, so that a wait for these is seen."""
LARGE_BYTES = 32 * 2**20


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(outages, "RETRY_SECONDS", 60)
    yield
    SentinelDeadlineFactory._pools.clear()
    for server in servers():
        if server is REDIS or server.name.startswith("Sentinel"):
            server.forget()


@pytest.fixture(scope="module")
def watched() -> Iterator[tuple[RedisServer, Sentinel]]:
    with redis_server() as primary, ReplicaServer(primary), Sentinel(primary) as sentinel:
        yield primary, sentinel


@pytest.fixture
def frozen() -> Iterator[Silent]:
    with silent() as made:
        yield made


def cache_at(url: str, *sentinels: str) -> Any:
    """The cache of snapshots, which raises."""
    settings = redis_caches(url, key_prefix="sentinels", sentinels=sentinels)
    settings["featureflags"]["OPTIONS"] |= {
        "SOCKET_TIMEOUT": OWN_SECONDS,
        "SOCKET_CONNECT_TIMEOUT": OWN_SECONDS,
    }
    return CacheHandler(settings)["featureflags"]


def timed(
    cache: Any, value: bytes = b"", budget_seconds: float = BUDGET_SECONDS
) -> tuple[object, float]:
    """What a flag check gets, or the error; and after how long. Seconds."""
    began = time.monotonic()
    with within(Purpose.FLAG_CHECK) as budget:
        budget.redis_seconds = budget_seconds
        try:
            found: object = cache.set("key", value) if value else cache.get("key", "nothing")
        except RedisError as error:
            found = error
    return found, time.monotonic() - began


def test_a_frozen_sentinel_is_waited_for_once(
    watched: tuple[RedisServer, Sentinel], frozen: Silent
) -> None:
    """And the other one is asked within the same budget."""
    cache = cache_at(f"redis://{PRIMARY}/0", f"127.0.0.1:{frozen.port}", watched[1].url)
    found, seconds = timed(cache, budget_seconds=PLENTY_SECONDS)
    assert found == "nothing"
    assert seconds < PATIENCE_SECONDS
    assert frozen.connections() == 1
    assert not REDIS.is_silent
    (silent_one,) = (each for each in servers() if each.name.endswith(f":{frozen.port}"))
    assert silent_one.is_silent
    cast("Any", cache).client.get_client().connection_pool.disconnect()
    assert timed(cache, budget_seconds=PLENTY_SECONDS)[0] == "nothing"
    assert frozen.connections() == 1, "the one that answered is asked first"


def test_a_killed_sentinel_costs_no_pause(
    watched: tuple[RedisServer, Sentinel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """redis-py would ask it four times, with pauses of seconds."""
    monkeypatch.setattr("redis.retry.sleep", pytest.fail)
    gone = f"127.0.0.1:{free_port()}"
    cache = cache_at(f"redis://{PRIMARY}/0", gone, watched[1].url)
    found, _seconds = timed(cache, budget_seconds=PLENTY_SECONDS)
    assert found == "nothing"


def test_where_every_sentinel_is_frozen_the_next_caller_does_not_wait(frozen: Silent) -> None:
    with silent() as other:
        addresses = (f"127.0.0.1:{each.port}" for each in (frozen, other))
        cache = cache_at(f"redis://{PRIMARY}/0", *addresses)
        found, seconds = timed(cache)
        assert isinstance(found, RedisError)
        assert seconds < PATIENCE_SECONDS
        before = frozen.connections() + other.connections()
        assert isinstance(timed(cache)[0], RedisError)
        assert frozen.connections() + other.connections() == before
        assert REDIS.outage is not None


def test_tls_to_a_frozen_redis(frozen: Silent) -> None:
    """The kernel takes the connection, and nobody shakes hands."""
    found, seconds = timed(cache_at(f"rediss://127.0.0.1:{frozen.port}/0?ssl_cert_reqs=none"))
    assert isinstance(found, RedisError)
    assert seconds < PATIENCE_SECONDS
    assert REDIS.is_silent


def test_a_command_that_fills_the_buffers(redis: RedisServer) -> None:
    """What no buffer holds waits for the server already while it is sent."""
    cache = cache_at(redis.url)
    assert cache.get("key", "nothing") == "nothing"
    redis.pause()
    found, seconds = timed(cache, b"x" * LARGE_BYTES)
    assert isinstance(found, RedisError)
    assert seconds < PATIENCE_SECONDS
    assert REDIS.is_silent
    redis.resume()


def test_a_large_command_leaves_the_connection_as_it_was(redis: RedisServer) -> None:
    cache = cache_at(redis.url)
    assert timed(cache, b"x" * LARGE_BYTES, budget_seconds=PATIENCE_SECONDS)[0] is True
    connection = cast("Any", cache).client.get_client().connection_pool.get_connection()
    assert connection._sock.gettimeout() == OWN_SECONDS
    assert cache.get("key") == b"x" * LARGE_BYTES


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server
        server.resume()
