"""The spare in Redis: last known flags at a cold start, and no failure of Redis that is felt."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from pytest_django.fixtures import Settings

from featureflags.core import monitoring
from featureflags.core.conf import Source, app_settings
from featureflags.launchdarkly.client import close, current_clients, has_flags
from featureflags.launchdarkly.flag_backup import Spare, spare_key
from featureflags.launchdarkly.status import State, connection_status
from tests.featureflags.launchdarkly.asking import ARRIVES, ask, wait_for
from tests.services.flag_json import boolean_flag, segment
from tests.services.launchdarkly import LaunchDarklyServer
from tests.services.redis import RedisServer, redis_server
from tests.services.waiting import wait_until


@pytest.fixture(scope="module")
def redis_of_spares() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture
def server(redis_of_spares: RedisServer) -> Iterator[RedisServer]:
    with redis.Redis.from_url(redis_of_spares.url) as database:
        database.flushdb()
    yield redis_of_spares
    if not redis_of_spares.is_ready():
        redis_of_spares.start()


@pytest.fixture
def kept(
    connected: LaunchDarklyServer, server: RedisServer, settings: Settings
) -> LaunchDarklyServer:
    """A LaunchDarkly whose flags are kept in the spare."""
    settings.FEATUREFLAGS = {
        **settings.FEATUREFLAGS,
        "SPARE_URL": server.url,
        "SPARE_SAVE_SECONDS": 0.05,
        "START_WAIT": 1.0,
        "SEND_EVENTS": False,
    }
    return connected


def saved(server: RedisServer) -> Any:
    with redis.Redis.from_url(server.url) as database:
        text = database.get(spare_key(app_settings()))
    return json.loads(text) if isinstance(text, bytes) else None


def test_a_cold_start_without_launchdarkly_serves_the_last_known_flags(
    kept: LaunchDarklyServer,
) -> None:
    kept.set_segment(segment("part", included=["ada"]))
    assert ask() is True
    assert connection_status().is_spare is False
    close()
    kept.stop()
    assert ask() is True
    status = connection_status()
    assert (status.state, status.flags, status.segments) == (State.INITIALIZING, 1, 1)
    assert status.is_spare
    assert status.has_flags
    assert status.changed_at is None
    kept.set_flag(boolean_flag("beta", fallthrough=False))
    kept.start()
    wait_for(False)
    assert connection_status().is_spare is False


START_WAIT = 600.0
"""What a first answer would wait for: far longer than any test may take."""


@pytest.mark.parametrize("state", ["503", "silent", "refuses the key"])
def test_a_new_process_does_not_wait_where_the_last_known_flags_are(
    kept: LaunchDarklyServer, settings: Settings, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setattr("featureflags.launchdarkly.client.SPARE_LOAD_SECONDS", ARRIVES)
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "START_WAIT": START_WAIT}
    assert ask() is True
    close()
    if state == "silent":
        kept.hang()
    else:
        kept.answer(503 if state == "503" else 401)
    began = time.monotonic()
    assert ask() is True
    assert time.monotonic() - began < START_WAIT / 2
    assert connection_status().is_spare


def test_a_silent_redis_holds_no_first_answer_either(
    kept: LaunchDarklyServer, server: RedisServer, settings: Settings
) -> None:
    ask()
    close()
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "START_WAIT": START_WAIT}
    server.pause()
    began = time.monotonic()
    assert ask() is True
    assert time.monotonic() - began < START_WAIT / 2
    assert monitoring.counts()["launchdarkly_spare_failed"] >= 1
    server.resume()


def test_each_change_is_saved(kept: LaunchDarklyServer, server: RedisServer) -> None:
    ask()
    wait_until(lambda: saved(server), timeout=ARRIVES, what="the first save")
    kept.set_flag(boolean_flag("second"))
    wait_until(lambda: "second" in saved(server)["flags"], timeout=ARRIVES, what="the change")


def test_many_changes_are_saved_together(
    kept: LaunchDarklyServer, server: RedisServer, settings: Settings
) -> None:
    """The first at once, the others after a pause; here the pause ends with the process."""
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "SPARE_SAVE_SECONDS": 600.0}
    ask()
    clients = current_clients(start=True)
    assert clients is not None
    spare = clients.spare
    assert spare is not None
    wait_until(lambda: spare.saves == 1, timeout=ARRIVES, what="the first save")
    for number in range(50):
        kept.set_flag(boolean_flag(f"flag-{number}"))
    wait_until(lambda: ask("flag-49") is False, timeout=ARRIVES, what="the changes")
    assert spare.saves == 1
    close()
    assert spare.saves == 2
    assert len(saved(server)["flags"]) == 51


def test_without_redis_nothing_is_felt(
    kept: LaunchDarklyServer, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.kill()
    assert ask() is True
    wait_until(
        lambda: monitoring.counts().get("launchdarkly_spare_failed", 0) >= 2,
        timeout=ARRIVES,
        what="a failed load and a failed save",
    )
    assert caplog.text.count("The spare of LaunchDarkly's flags could not be") == 1
    server.start()
    kept.set_flag(boolean_flag("beta", fallthrough=False))
    wait_until(lambda: saved(server), timeout=ARRIVES, what="a save after Redis is back")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"flags": []}', '{"flags": {}}', "\xff", "[" * 100_000],
    ids=["empty", "half", "a list", "a list of flags", "no segments", "no text", "too deep"],
)
def test_an_invalid_spare_is_ignored(
    kept: LaunchDarklyServer, server: RedisServer, text: str
) -> None:
    with redis.Redis.from_url(server.url) as database:
        database.set(spare_key(app_settings()), text.encode("latin-1"))
    assert Spare(app_settings()).load(ARRIVES) is None
    kept.stop()
    assert ask(default="default") == "default"
    assert not has_flags()


def test_an_address_that_cannot_be_right_costs_the_spare_alone(
    kept: LaunchDarklyServer, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "SPARE_URL": "user:secret@localhost"}
    assert ask() is True
    assert monitoring.counts()["launchdarkly_spare_failed"] == 1
    assert "secret" not in caplog.text


def test_a_name_that_nobody_resolves_is_not_waited_for(
    kept: LaunchDarklyServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No time limit of a socket holds for that: the start of a process would wait for it."""
    resolve = socket.getaddrinfo
    ended, gave_up = threading.Event(), threading.Event()

    def slow(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host == "redis.invalid":
            ended.wait(ARRIVES)
            gave_up.set()
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    settings.FEATUREFLAGS = {
        **settings.FEATUREFLAGS,
        "SPARE_URL": "redis://redis.invalid/0",
        "START_WAIT": 0.2,
    }
    try:
        ask()
        assert not gave_up.is_set()
        assert monitoring.counts()["launchdarkly_spare_failed"] == 1
        wait_for(True)
    finally:
        ended.set()


def test_the_thread_outlives_what_cannot_be_saved(
    kept: LaunchDarklyServer, server: RedisServer
) -> None:
    odd: list[object] = [{"flags": {1: object()}, "segments": {}}]
    spare = Spare(app_settings())
    spare.start(lambda: odd.pop() if odd else {"flags": {}, "segments": {}})  # type: ignore[arg-type,return-value]  # what no source sends
    spare.changed()
    wait_until(
        lambda: monitoring.counts().get("launchdarkly_spare_failed"), timeout=ARRIVES, what="it"
    )
    spare.changed()
    wait_until(lambda: spare.saves, timeout=ARRIVES, what="the next save")
    spare.close()
    assert saved(server) == {"flags": {}, "segments": {}}


def test_a_malformed_flag_in_it_leaves_the_others(
    kept: LaunchDarklyServer, server: RedisServer
) -> None:
    flags = {"bad": {"key": "bad"}, "beta": boolean_flag("beta", fallthrough=True)}
    with redis.Redis.from_url(server.url) as database:
        database.set(spare_key(app_settings()), json.dumps({"flags": flags, "segments": {}}))
    kept.stop()
    assert ask() is True


def test_each_environment_has_its_own_and_its_name_reveals_no_secret(
    kept: LaunchDarklyServer, settings: Settings
) -> None:
    ours = spare_key(app_settings())
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "SDK_KEY": "sdk-other"}
    assert spare_key(app_settings()) != ours
    assert "sdk-other" not in spare_key(app_settings())


@pytest.mark.parametrize("source", [Source.OFFLINE, Source.TEST_DATA])
def test_only_flags_from_launchdarkly_are_kept(
    kept: LaunchDarklyServer, server: RedisServer, settings: Settings, source: Source
) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "SOURCE": source.value}
    ask()
    close()
    assert saved(server) is None
