"""A Redis that is stopped: it accepts, and never answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from django.core.cache import caches
from django.test import override_settings
from redis.exceptions import TimeoutError as RedisTimeoutError

from config.settings.caches import redis_caches
from featureflags.core.deadlines import Purpose, within
from featureflags.core.outages import REDIS
from tests.featureflags.core.frozen_servers.waits import (
    a_second_later,
    patient,
)
from tests.services.redis import RedisServer
from tests.services.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.production_stack, pytest.mark.django_db]


@contextmanager
def waiting_sockets(server: RedisServer) -> Iterator[None]:
    """Sockets that would wait much longer than any budget."""
    longer = dict.fromkeys(("SOCKET_TIMEOUT", "SOCKET_CONNECT_TIMEOUT"), 2 * PATIENCE_SECONDS)
    patient_ones = {
        alias: {**each, "OPTIONS": {**each["OPTIONS"], **longer}}
        for alias, each in redis_caches(server.url, key_prefix="frozen").items()
    }
    with override_settings(CACHES=patient_ones):
        yield


def call(alias: str) -> object:
    """What the cache answers, or the error."""
    try:
        return caches[alias].get("some key")
    except Exception as error:  # noqa: BLE001 - whatever it is
        return error


class TestRedis:
    ALIASES = ("default", "cachalot", "featureflags")

    def test_all_caches_of_a_request_share_one_budget(
        self, redis: RedisServer, no_second_try: None
    ) -> None:
        for alias in self.ALIASES:
            assert call(alias) is None
        redis.pause()
        with waiting_sockets(redis), within(Purpose.FLAG_CHECK) as budget:
            answers = [call(alias) for alias in self.ALIASES * 5]
            assert -PATIENCE_SECONDS < budget.redis_seconds <= 0, "not the time of the socket"
        assert REDIS.totals().missed == 1, "once, not for each call and retry"
        assert {type(answer).__name__ for answer in answers} == {"NoneType", "TimeoutError"}

    def test_others_do_not_wait_and_it_is_back_with_the_next_try(
        self, redis: RedisServer, no_second_try: None
    ) -> None:
        call("default")
        redis.pause()
        with within(Purpose.FLAG_CHECK):
            call("default")
        before = REDIS.totals()
        with within(Purpose.FLAG_CHECK):
            assert isinstance(call("featureflags"), RedisTimeoutError)
        after = REDIS.totals()
        assert (after.missed, before.missed) == (1, 1)
        assert after.refused > before.refused
        redis.resume()
        a_second_later(REDIS)
        with patient():
            assert call("featureflags") is None
        assert not REDIS.is_silent

    def test_many_slow_answers_are_one_wait(self, redis: RedisServer, no_second_try: None) -> None:
        """A budget, not a time-out for each call: it ends before twenty calls of 20 ms are answered."""
        caches["default"].get("some key")
        client = cast("Any", caches["default"]).client.get_client()
        answered = 0
        with within(Purpose.FLAG_CHECK):
            for _ in range(20):
                try:
                    client.eval(
                        "local t=redis.call('TIME') repeat local n=redis.call('TIME') "
                        "until (n[1]-t[1])*1e6+n[2]-t[2] > 20000 return 1",
                        0,
                    )
                except Exception:  # noqa: BLE001 - the budget is spent
                    continue
                answered += 1
        assert answered < 20
        assert REDIS.totals().missed == 1

    def test_a_command_has_its_own_time_out(self, redis: RedisServer, no_second_try: None) -> None:
        call("default")
        redis.pause()
        resumed = threading.Timer(PATIENCE_SECONDS, redis.resume)
        resumed.start()
        assert isinstance(call("featureflags"), RedisTimeoutError)
        resumed.cancel()
        assert REDIS.totals().missed == 1
