"""A frozen Redis and checks on an event loop: the budget of the request holds there too."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from django.test import override_settings

from config.settings.caches import redis_caches
from featureflags.cache import pending_reads
from featureflags.cache.pending_reads import aget, connect
from featureflags.core.deadlines import Purpose, within
from featureflags.core.outages import REDIS
from tests.services.redis import RedisServer, redis_server
from tests.services.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.production_stack

OWN_SECONDS = 2 * PATIENCE_SECONDS


@pytest.fixture
def frozen() -> Iterator[RedisServer]:
    with redis_server() as server:
        with override_settings(CACHES=redis_caches(server.url, key_prefix="loop")):
            yield server
        server.resume()
    REDIS.forget()


async def test_an_awaited_read_ends_with_the_budget(
    frozen: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending_reads, "SECONDS", OWN_SECONDS)
    connect()()
    assert await aget(()) is not None
    frozen.pause()
    began = time.monotonic()
    with within(Purpose.FLAG_CHECK) as budget:
        budget.redis_seconds = 0.1
        assert await aget(()) is None
        assert budget.redis_seconds <= 0
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert REDIS.is_silent, "nobody else waits"
