"""Redis by its Unix socket: it answers, and one that does not is late as any other."""

from __future__ import annotations

import pytest
import redis
from django.core.cache import caches
from pytest_django.fixtures import Settings
from redis.connection import UnixDomainSocketConnection
from redis.exceptions import TimeoutError as RedisTimeoutError

from config.settings.caches import redis_caches
from featureflags.core import redis_connections
from featureflags.core.outages import REDIS
from featureflags.core.redis_connections import DeadlinePool
from tests.services.redis import redis_server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.embedded_stack]


def test_it_answers_without_a_name_server(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_connections, "addresses", lambda *_, **__: pytest.fail("asked"))
    with redis_server() as server:
        settings.CACHES = redis_caches(server.socket_url, key_prefix="socket")
        for alias in settings.CACHES:
            caches[alias].set("name", b"Ada")
            assert caches[alias].get("name") == b"Ada"
    assert REDIS.outage is None


def test_a_socket_that_takes_no_connection_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(_connection: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(UnixDomainSocketConnection, "_connect", wait)
    with (
        DeadlinePool.from_url("unix:///nowhere.sock", retry=None) as pool,
        redis.Redis(connection_pool=pool) as client,
        pytest.raises(RedisTimeoutError),
    ):
        client.ping()
    assert REDIS.is_silent
