"""Where flags come from: each source by its settings, and what is said when one is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from ldclient.integrations import Redis
from ldclient.versioned_data_kind import FEATURES, SEGMENTS
from pytest_django.fixtures import Settings

from featureflags.core import monitoring
from featureflags.core.conf import (
    FeatureFlagsSettings,
    Source,
    app_settings,
    setting_problems,
    source_of,
)
from featureflags.flags.overrides import override_flag
from featureflags.launchdarkly.client import close, feature_store, has_flags
from featureflags.launchdarkly.daemon_mode import DaemonStore
from featureflags.launchdarkly.feature_store import CopyOnWriteStore
from featureflags.launchdarkly.sdk_config import sending_config
from featureflags.launchdarkly.status import State, connection_status
from featureflags.testing import sdk_test_data
from tests.featureflags.launchdarkly.asking import ARRIVES, ask, wait_for
from tests.services.flag_json import boolean_flag, malformed_flag
from tests.services.launchdarkly import LaunchDarklyServer
from tests.services.redis import RedisServer, redis_server
from tests.services.waiting import wait_until

AUTO = [
    ({}, Source.OFFLINE),
    ({"flag_file": "flags.json"}, Source.FILE),
    ({"flag_file": "flags.json", "sdk_key": "sdk-1"}, Source.STREAMING),
]


@pytest.mark.parametrize(("given", "expected"), AUTO)
def test_auto(given: dict[str, Any], expected: Source) -> None:
    assert source_of(FeatureFlagsSettings(**given)) is expected


WRONG = [
    ({"SOURCE": "stream"}, "'stream'; it is one of: auto, streaming, polling"),
    ({"SOURCE": "streaming", "SDK_KEY": ""}, "'streaming' needs .*LAUNCHDARKLY_SDK_KEY"),
    ({"SOURCE": "polling", "SDK_KEY": ""}, "'polling' needs .*LAUNCHDARKLY_SDK_KEY"),
    ({"SOURCE": "daemon"}, "'daemon' needs .*LAUNCHDARKLY_DAEMON_URL"),
    ({"SOURCE": "file", "FLAG_FILE": ""}, "'file' needs .*LAUNCHDARKLY_FLAG_FILE"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_what_is_missing_is_named(settings: Settings, given: dict[str, str], message: str) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **given}
    (problem,) = setting_problems()
    assert re.search(message, str(problem))
    assert source_of(app_settings()) is Source.OFFLINE


def use(settings: Settings, **given: Any) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **given}


class TestService:
    def test_streaming(self, connected: LaunchDarklyServer) -> None:
        assert ask() is True
        connected.set_flag(boolean_flag("beta", fallthrough=False))
        wait_for(False)

    def test_polling(self, connected: LaunchDarklyServer, settings: Settings) -> None:
        use(settings, SOURCE="polling", POLL_SECONDS=45.0)
        assert ask() is True
        assert connected.open_streams == 0
        assert connected.requests("/sdk/latest-all")
        assert sending_config(app_settings(), CopyOnWriteStore()).poll_interval == 45

    def test_a_relay_proxy_is_named_by_bare_addresses(
        self, connected: LaunchDarklyServer, settings: Settings
    ) -> None:
        use(settings, BASE_URI=f"{connected.url}/", STREAM_URI=f"{connected.url}/")
        assert ask() is True
        assert {request.path for request in connected.requests()} <= {"/all", "/diagnostic"}


class TestFile:
    def test_it_takes_precedence_over_a_key_if_set(
        self, connected: LaunchDarklyServer, settings: Settings, tmp_path: Path
    ) -> None:
        path = tmp_path / "flags.json"
        path.write_text(json.dumps({"flagValues": {"beta": "from the file"}}))
        use(settings, SOURCE="file", FLAG_FILE=str(path))
        assert ask() == "from the file"
        assert connected.open_streams == 0

    def test_a_malformed_flag_leaves_the_others(self, settings: Settings, tmp_path: Path) -> None:
        path = tmp_path / "flags.json"
        flags = {"bad": {"key": "bad", "rules": [{}]}}
        path.write_text(json.dumps({"flags": flags, "flagValues": {"beta": True}}))
        use(settings, FLAG_FILE=str(path))
        assert ask() is True
        assert connection_status().malformed == ("flags/bad",)


class TestTestData:
    def test_a_test_puts_its_flags_there(
        self, settings: Settings, request: pytest.FixtureRequest
    ) -> None:
        # The SDK's test data cannot be emptied: what stays would be seen by other tests.
        sdk_test_data.cache_clear()
        request.addfinalizer(sdk_test_data.cache_clear)
        use(settings, SOURCE="test-data")
        data = sdk_test_data()
        data.update(data.flag("beta").variation_for_all(True))
        assert ask() is True
        data.update(data.flag("beta").variation_for_all(False))
        assert ask() is False
        assert connection_status().state is State.VALID


class TestOffline:
    def test_defaults_alone_and_nobody_is_asked(
        self, connected: LaunchDarklyServer, settings: Settings
    ) -> None:
        use(settings, SOURCE="offline")
        assert ask(default="default") == "default"
        assert not has_flags()
        close()
        assert connected.requests() == []
        assert connected.events() == []


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


class TestDaemon:
    @pytest.fixture
    def relay(self, server: RedisServer, settings: Settings) -> Iterator[Any]:
        """What a relay proxy writes with: the SDK's own store."""
        with redis.Redis.from_url(server.url) as database:
            database.flushdb()
        use(
            settings,
            SOURCE="daemon",
            DAEMON_URL=server.url,
            DAEMON_PREFIX="relay",
            DAEMON_CACHE_SECONDS=0,
        )
        yield Redis.new_feature_store(url=server.url, prefix="relay")
        if not server.is_ready():
            server.start()

    def test_flags_come_from_redis(self, relay: Any) -> None:
        assert ask(default="default") == "default"
        assert connection_status().state is State.INITIALIZING
        relay.init({FEATURES: {"beta": boolean_flag("beta", fallthrough=True)}, SEGMENTS: {}})
        assert ask() is True
        status = connection_status()
        assert (status.state, status.flags, status.source) == (State.VALID, 1, Source.DAEMON)
        relay.upsert(FEATURES, {**boolean_flag("beta", fallthrough=False), "version": 2})
        assert ask() is False
        relay.delete(FEATURES, "beta", 3)
        assert ask(default="gone") == "gone"
        with override_flag("beta", True):
            assert ask() is True
        assert feature_store().raw() == {"flags": {}, "segments": {}}

    def test_one_that_is_malformed_takes_no_other_down(
        self, relay: Any, server: RedisServer
    ) -> None:
        def write(**changed: Any) -> None:
            """As it is: the SDK's own store would refuse it."""
            with redis.Redis.from_url(server.url) as database:
                for key, text in changed.items():
                    database.hset("relay:features", key, json.dumps(text))

        flags = {key: boolean_flag(key, fallthrough=True) for key in ("bad", "beta", "gamma")}
        relay.init({FEATURES: flags, SEGMENTS: {}})
        write(bad=malformed_flag("bad"))
        assert ask("bad", default="default") == "default"
        assert [ask(key) for key in ("beta", "gamma")] == [True, True]
        status = connection_status()
        assert (status.state, status.flags, status.malformed) == (State.VALID, 2, ("flags/bad",))
        write(bad=flags["bad"])
        assert ask("bad") is True
        assert connection_status().malformed == ()
        write(bad=malformed_flag("bad"))
        assert connection_status().malformed == ("flags/bad",)
        assert ask("bad") is True, "the last good one"
        assert connection_status().flags == 3
        relay.init({FEATURES: {"beta": flags["beta"]}, SEGMENTS: {}})
        assert ask("bad", default="gone") == "gone"
        status = connection_status()
        assert (status.flags, status.malformed) == (1, ())

    def test_what_was_read_does_not_change_under_its_reader(self, relay: Any) -> None:
        relay.init({FEATURES: {"beta": boolean_flag("beta")}, SEGMENTS: {}})
        store = feature_store()
        assert isinstance(store, DaemonStore)
        reading = store._all(FEATURES)
        relay.upsert(FEATURES, boolean_flag("gamma"))
        ask("gamma")
        assert list(reading) == ["beta"]

    def test_without_redis_the_last_known_flags_hold(self, relay: Any, server: RedisServer) -> None:
        relay.init({FEATURES: {"beta": boolean_flag("beta", fallthrough=True)}, SEGMENTS: {}})
        assert ask() is True
        server.kill()
        assert ask() is True
        status = connection_status()
        assert (status.state, status.flags) == (State.INTERRUPTED, 1)
        assert status.error is not None
        assert status.error.message == "ConnectionError"
        for _ in range(20):
            ask()
        assert 1 <= monitoring.counts()["launchdarkly_daemon_failed"] < 20, "it is left alone"
        server.start()
        wait_until(
            lambda: connection_status().state is State.VALID, timeout=ARRIVES, what="Redis again"
        )
        assert ask() is True

    def test_a_start_without_redis_does_not_raise(self, relay: Any, server: RedisServer) -> None:
        server.kill()
        assert ask(default="default") == "default"
        assert not has_flags()
        assert connection_status().state is State.INTERRUPTED
