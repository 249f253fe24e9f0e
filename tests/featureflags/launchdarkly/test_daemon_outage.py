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

from featureflags.core import monitoring
from featureflags.core.conf import app_settings
from featureflags.launchdarkly import daemon_mode
from featureflags.launchdarkly.daemon_mode import DaemonStore
from tests.services.flag_json import boolean_flag
from tests.services.redis import RedisServer, redis_server
from tests.services.waiting import wait_until

pytestmark = pytest.mark.production_stack

FLAG = "new-checkout"
LATER_SECONDS = 3600.0
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


def waits() -> int:
    """How often somebody has asked Redis in vain."""
    return monitoring.counts().get("launchdarkly_daemon_failed", 0)


def asked(store: DaemonStore) -> bool:
    """The flag is served all the while."""
    return store.get(FEATURES, FLAG) is not None


def test_one_of_many_callers_waits(
    store: DaemonStore, filled: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_mode, "RETRY_SECONDS", LATER_SECONDS)
    assert asked(store)
    time.sleep(0.05)  # What the SDK's own cache holds expires.
    filled.pause()
    assert asked(store)
    assert (waits(), store.failure) == (1, "TimeoutError"), "the first one finds it out"
    assert asked(store)
    assert len(store.all(FEATURES)) == 1
    assert store.initialized
    assert waits() == 1
    store._retry_at = 0.0  # A second later.
    served: list[bool] = []
    callers = [threading.Thread(target=lambda: served.append(asked(store))) for _ in range(CALLERS)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    assert served == [True] * CALLERS
    assert waits() == 2
    filled.resume()

    def is_back() -> bool:
        store._retry_at = 0.0
        return asked(store) and store.is_available()

    wait_until(is_back, what="Redis")
