"""Daemon mode while the Redis of the relay proxy is frozen: one caller waits, a tenth of a second, once a second."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest
import redis
from ldclient.versioned_data_kind import FEATURES
from pytest_django.fixtures import Settings

from featureflags.core.conf import app_settings
from featureflags.launchdarkly import daemon_mode
from featureflags.launchdarkly.daemon_mode import DaemonStore
from tests.services.flag_json import boolean_flag
from tests.services.redis import RedisServer, redis_server
from tests.services.waiting import wait_until

pytestmark = pytest.mark.production_stack

FLAG = "new-checkout"
BOUND_SECONDS = 0.25
AT_ONCE_SECONDS = 0.05
CALLERS = 8


@pytest.fixture
def filled() -> Iterator[RedisServer]:
    with redis_server() as server:
        client = redis.Redis.from_url(server.url)
        client.hset("launchdarkly:features", FLAG, json.dumps({**boolean_flag(FLAG), "version": 1}))
        client.set("launchdarkly:$inited", "")
        client.close()
        yield server
        server.resume()


@pytest.fixture
def store(filled: RedisServer, settings: Settings) -> DaemonStore:
    given = {"DAEMON_URL": filled.url, "DAEMON_CACHE_SECONDS": 0.01}
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **given}
    return DaemonStore(app_settings())


def waited(store: DaemonStore) -> float:
    """Seconds. The flag is served all the while."""
    began = time.monotonic()
    assert store.get(FEATURES, FLAG) is not None
    return time.monotonic() - began


def test_one_of_many_callers_waits(store: DaemonStore, filled: RedisServer) -> None:
    waited(store)
    time.sleep(0.05)
    filled.pause()
    assert waited(store) < BOUND_SECONDS, "the first one finds it out"
    assert waited(store) < AT_ONCE_SECONDS
    assert len(store.all(FEATURES)) == 1
    assert store.initialized
    time.sleep(daemon_mode.RETRY_SECONDS)
    times: list[float] = []
    callers = [threading.Thread(target=lambda: times.append(waited(store))) for _ in range(CALLERS)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    assert max(times) < BOUND_SECONDS
    assert sum(each > AT_ONCE_SECONDS for each in times) <= 1
    filled.resume()
    wait_until(lambda: waited(store) >= 0 and store.is_available(), timeout=5, what="Redis")
