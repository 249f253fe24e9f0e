"""Budgets of these tests, and servers that nobody asks a second time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings as django_settings
from django.test import override_settings

from config.settings.caches import redis_caches
from featureflags.core import outages
from tests.featureflags.core.frozen_servers.waits import (
    DATABASE_SECONDS,
    LATER_SECONDS,
    REDIS_SECONDS,
)
from tests.services.redis import RedisServer, redis_server


@pytest.fixture(autouse=True)
def budgets() -> Iterator[None]:
    given = {
        **django_settings.FEATUREFLAGS,
        "FLAG_CHECK_DATABASE_SECONDS": DATABASE_SECONDS,
        "FLAG_CHECK_REDIS_SECONDS": REDIS_SECONDS,
        "PAGE_DATABASE_SECONDS": 1.0,
    }
    with override_settings(FEATUREFLAGS=given):
        yield


@pytest.fixture
def no_second_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is: nobody asks a silent server again before the test says so."""
    monkeypatch.setattr(outages, "RETRY_SECONDS", LATER_SECONDS)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        with override_settings(CACHES=redis_caches(server.url, key_prefix="frozen")):
            yield server
        server.resume()
