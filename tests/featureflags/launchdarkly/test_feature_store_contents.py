"""Our feature store: what it shows of its changes, malformed items, and evaluations on it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from ldclient import Context, LDClient
from ldclient.versioned_data_kind import FEATURES, SEGMENTS

from featureflags.core import monitoring
from featureflags.launchdarkly.feature_store import CopyOnWriteStore
from tests.featureflags.launchdarkly.store_items import STORES, item, version_of
from tests.services.flag_json import (
    boolean_flag,
    clause,
    malformed_flag,
    prerequisite,
    rule,
    segment,
)
from tests.services.launchdarkly import LaunchDarklyServer
from tests.services.waiting import wait_until

USER = Context.create("ada")


class TestOurs:
    def test_changes_are_announced_and_dated_and_only_changes(self) -> None:
        announced: list[int] = []
        store = CopyOnWriteStore(lambda: announced.append(1))
        store.fill({"flags": {"a": item(FEATURES, "a", 1)}, "segments": {}})
        assert (store.changed_at, announced) == (None, []), (
            "loading the last known flags does not count as a change"
        )
        store.init({FEATURES: {"a": item(FEATURES, "a", 2)}, SEGMENTS: {}})
        assert isinstance(store.changed_at, int)
        store.upsert(FEATURES, item(FEATURES, "a", 2))
        store.delete(FEATURES, "a", 1)
        assert len(announced) == 1
        store.upsert(FEATURES, item(FEATURES, "a", 3))
        store.delete(FEATURES, "a", 4)
        assert len(announced) == 3

    def test_raw_is_what_was_sent(self) -> None:
        flag, part = item(FEATURES, "a", 1), item(SEGMENTS, "s", 2)
        store = CopyOnWriteStore()
        store.init({FEATURES: {"a": copy.deepcopy(flag)}, SEGMENTS: {"s": copy.deepcopy(part)}})
        assert store.raw() == {"flags": {"a": flag}, "segments": {"s": part}}

    def test_halves_of_surrogate_pairs_are_joined_or_replaced(self) -> None:
        """As PyYAML leaves them in a flag file."""
        high, low = chr(0xD83D), chr(0xDCA5)
        apart, alone = item(FEATURES, high + low, 1), item(FEATURES, f"b{high}", 1)
        store = CopyOnWriteStore()
        store.init({FEATURES: {high + low: apart}, SEGMENTS: {}})
        store.upsert(FEATURES, alone)
        store.upsert(FEATURES, apart | {"version": 2})
        flags = store.raw()["flags"]
        assert sorted(flags) == ["b\ufffd", "💥"]
        assert (flags["💥"]["key"], flags["💥"]["version"]) == ("💥", 2)

    def test_last_known_flags_never_replace_received_ones(self) -> None:
        store = CopyOnWriteStore()
        store.init({FEATURES: {}, SEGMENTS: {}})
        store.fill({"flags": {"a": item(FEATURES, "a", 1)}})
        assert store.raw()["flags"] == {}


class TestMalformed:
    """A rule without clauses: the SDK raises when it reads it."""

    def test_the_last_good_one_is_held_and_the_others_go_on(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = CopyOnWriteStore()
        store.init({FEATURES: {"a": item(FEATURES, "a", 1)}, SEGMENTS: {}})
        broken = {**malformed_flag("a"), "version": 5}
        store.init({FEATURES: {"a": broken, "b": item(FEATURES, "b", 1)}, SEGMENTS: {}})
        assert store.raw()["flags"]["a"]["rules"] == []
        assert sorted(store.raw()["flags"]) == ["a", "b"]
        assert store.malformed == {"flags/a"}
        assert monitoring.counts()["malformed:flags/a"] == 1
        assert "flags/a" in caplog.text
        store.upsert(FEATURES, item(FEATURES, "a", 4))
        assert version_of(store, FEATURES, "a") == 5, "older than the malformed one"
        store.upsert(FEATURES, item(FEATURES, "a", 6))
        assert store.malformed == frozenset()

    def test_one_that_was_never_good_is_missing(self) -> None:
        store = CopyOnWriteStore()
        broken: dict[str, Any] = {**malformed_flag("a"), "version": 5}
        store.init({FEATURES: {"a": broken}, SEGMENTS: {"s": {"key": "s", "version": "1"}}})
        assert store.raw() == {"flags": {}, "segments": {}}
        assert store.malformed == {"flags/a", "segments/s"}
        store.upsert(FEATURES, item(FEATURES, "a", 6))
        assert version_of(store, FEATURES, "a") == 6

    def test_a_malformed_change_keeps_what_worked(self) -> None:
        store = CopyOnWriteStore()
        store.init({FEATURES: {"a": item(FEATURES, "a", 1)}, SEGMENTS: {}})
        store.upsert(FEATURES, {**malformed_flag("a"), "version": 2})
        assert store.raw()["flags"]["a"]["rules"] == []
        assert store.malformed == {"flags/a"}
        store.delete(FEATURES, "a", 3)
        assert store.malformed == frozenset()

    @pytest.fixture
    def server(self) -> Iterator[LaunchDarklyServer]:
        with LaunchDarklyServer(boolean_flag("good", fallthrough=True)) as running:
            yield running

    @pytest.mark.parametrize("stream", [True, False], ids=["stream", "poll"])
    def test_the_sdk_starts_on_malformed_data(
        self, server: LaunchDarklyServer, stream: bool
    ) -> None:
        """With its own store it never does."""
        server.send_malformed_flag("bad")
        server.set_segment({"key": "part", "version": 1, "rules": [{"id": "no-clauses"}]})
        config = server.sdk_config(
            send_events=False, stream=stream, feature_store=CopyOnWriteStore()
        )
        with LDClient(config, start_wait=10) as client:
            assert client.is_initialized()
            assert client.variation("good", USER, False) is True
            assert client.variation("bad", USER, "default") == "default"

    def test_a_running_sdk_goes_on_and_hears_of_later_changes(
        self, server: LaunchDarklyServer
    ) -> None:
        server.set_flag(boolean_flag("also", fallthrough=True))
        store = CopyOnWriteStore()
        config = server.sdk_config(send_events=False, feature_store=store)
        with LDClient(config, start_wait=10) as client:
            server.send_malformed_flag("good")
            server.set_flag(boolean_flag("also", fallthrough=False))
            wait_until(lambda: client.variation("also", USER, None) is False, what="a change")
            assert client.variation("good", USER, False) is True, "the last good one"
            assert server.open_streams == 1
            assert len(server.requests("/all")) == 1, "the stream was never dropped"
            server.set_flag(boolean_flag("good", fallthrough=False))
            wait_until(lambda: client.variation("good", USER, None) is False, what="healing")
            assert store.malformed == frozenset()


def test_the_sdk_evaluates_on_it_as_on_its_own() -> None:
    flags = {
        "needs": boolean_flag("needs", fallthrough=True, prerequisites=[prerequisite("base", 0)]),
        "base": boolean_flag("base", rules=[rule(clause("", "segmentMatch", "part"), variation=0)]),
    }
    segments = {"part": segment("part", included=["ada"])}
    for make in STORES:
        store = make()
        store.init({FEATURES: copy.deepcopy(flags), SEGMENTS: copy.deepcopy(segments)})
        with LaunchDarklyServer() as server:
            config = server.sdk_config(send_events=False, feature_store=store, use_ldd=True)
            with LDClient(config) as client:
                assert client.variation("needs", USER, None) is True
                assert client.variation("needs", Context.create("bob"), None) is False
                state = client.all_flags_state(USER).to_values_map()
                assert state == {"needs": True, "base": True}
