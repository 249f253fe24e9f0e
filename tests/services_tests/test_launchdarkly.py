"""The LaunchDarkly on loopback, asked by the real SDK: data, changes, faults, events."""

from __future__ import annotations

import logging
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ldclient.datasystem
import pytest
from ldclient import Context, LDClient
from ldclient.config import DataSystemConfig
from ldclient.interfaces import DataSourceState

from tests.services.launchdarkly import (
    LaunchDarklyServer,
    boolean_flag,
    clause,
    malformed_flag,
    prerequisite,
    rollout,
    segment,
    segment_rule,
    string_flag,
)
from tests.services.waiting import PATIENCE_SECONDS, wait_until

EMPLOYEE = Context.builder("ada").set("segments", ["employee", "user"]).build()
USER = Context.builder("bob").set("segments", ["user"]).build()
ARRIVES = PATIENCE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A way in which the SDK gets its data."""

    name: str
    options: dict[str, Any]
    datasystem: Callable[[], DataSystemConfig] | None = None

    def config(self) -> dict[str, Any]:
        if self.datasystem is None:
            return self.options
        return {**self.options, "datasystem_config": self.datasystem()}


def fast_v2_polling() -> DataSystemConfig:
    polling = ldclient.datasystem.polling_ds_builder().poll_interval(0.05)
    return ldclient.datasystem.custom().synchronizers(polling).build()


STREAM_V1 = Source(name="stream v1", options={})
STREAM_V2 = Source(
    name="stream v2", options={}, datasystem=lambda: ldclient.datasystem.streaming().build()
)
DEFAULT_V2 = Source(
    name="default v2", options={}, datasystem=lambda: ldclient.datasystem.default().build()
)
POLL_V2 = Source(name="poll v2", options={}, datasystem=fast_v2_polling)
STREAMING = [STREAM_V1, STREAM_V2, DEFAULT_V2]
SOURCES = [*STREAMING, POLL_V2]


@contextmanager
def client_of(server: LaunchDarklyServer, wait: float = 10.0, **options: Any) -> Iterator[LDClient]:
    client = LDClient(server.sdk_config(**options), start_wait=wait)
    try:
        yield client
    finally:
        client.close()


def await_value(client: LDClient, key: str, context: Context, expected: object) -> None:
    wait_until(
        lambda: client.variation(key, context, None) == expected,
        timeout=ARRIVES,
        what=f"{key} to be {expected!r}",
    )


def state_of(client: LDClient) -> DataSourceState:
    state: DataSourceState = client.data_source_status_provider.status.state
    return state


def await_state(client: LDClient, expected: DataSourceState) -> None:
    wait_until(lambda: state_of(client) == expected, timeout=ARRIVES, what=expected.name)


@pytest.fixture
def server() -> Iterator[LaunchDarklyServer]:
    with LaunchDarklyServer(boolean_flag("beta", rules=[segment_rule("employee")])) as running:
        yield running


@pytest.fixture(params=SOURCES, ids=lambda source: source.name)
def source(request: pytest.FixtureRequest) -> Source:
    chosen: Source = request.param
    return chosen


@pytest.fixture(params=STREAMING, ids=lambda source: source.name)
def streaming(request: pytest.FixtureRequest) -> Source:
    chosen: Source = request.param
    return chosen


# Data and changes


def test_the_sdk_initialises_and_sees_every_kind_of_change(
    server: LaunchDarklyServer, source: Source
) -> None:
    with client_of(server, send_events=False, **source.config()) as client:
        assert client.is_initialized()
        assert client.variation("beta", EMPLOYEE, None) is True
        assert client.variation("beta", USER, None) is False
        server.set_flag(boolean_flag("beta", fallthrough=True))
        await_value(client, "beta", USER, True)
        server.set_flag(string_flag("layout", fallthrough="treatment"))
        await_value(client, "layout", USER, "treatment")
        server.delete_flag("beta")
        await_value(client, "beta", USER, None)
        server.set_flag(boolean_flag("beta", on=True, fallthrough=True))
        await_value(client, "beta", USER, True)


def test_segments_of_launchdarkly_travel_too(server: LaunchDarklyServer, source: Source) -> None:
    by_segment = boolean_flag(
        "by-segment",
        rules=[{**segment_rule("x"), "clauses": [clause("", "segmentMatch", "staff")]}],
    )
    server.set_flag(by_segment)
    server.set_segment(segment("staff", rules=[[clause("segments", "in", "employee")]]))
    with client_of(server, send_events=False, **source.config()) as client:
        assert client.variation("by-segment", EMPLOYEE, None) is True
        assert client.variation("by-segment", USER, None) is False
        server.set_segment(segment("staff", included=["bob"]))
        await_value(client, "by-segment", USER, True)
        server.delete_segment("staff")
        await_value(client, "by-segment", USER, False)


def test_v1_polls_are_answered_by_etag(server: LaunchDarklyServer) -> None:
    # The SDK polls every 30 s at the least, so the second poll is ours.
    with client_of(server, stream=False, send_events=False) as client:
        assert client.is_initialized()
        assert client.variation("beta", EMPLOYEE, None) is True
    status, etag = poll(server)
    assert (status, etag is not None) == (200, True)
    assert poll(server, etag) == (304, etag)
    server.set_flag(boolean_flag("beta"))
    changed, other = poll(server, etag)
    assert changed == 200
    assert other != etag


def poll(server: LaunchDarklyServer, etag: str | None = None) -> tuple[int, str | None]:
    headers = {"Authorization": server.sdk_key, **({"If-None-Match": etag} if etag else {})}
    request = urllib.request.Request(f"{server.url}/sdk/latest-all", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.headers["ETag"]
    except urllib.error.HTTPError as error:
        return error.code, error.headers["ETag"]


def test_a_v2_client_that_returns_gets_only_what_it_lacks(server: LaunchDarklyServer) -> None:
    with client_of(server, send_events=False, **STREAM_V2.config()) as client:
        server.drop_streams()
        server.set_flag(boolean_flag("late", fallthrough=True))
        await_value(client, "late", USER, True)
        assert client.variation("beta", EMPLOYEE, None) is True
    bases = [request.query.get("basis") for request in server.requests("/sdk/stream")]
    assert bases[0] is None
    assert bases[-1] is not None


def test_versions_rise_by_themselves(server: LaunchDarklyServer) -> None:
    assert server.set_flag(boolean_flag("beta")) == 2
    assert server.delete_flag("beta") == 3
    assert server.set_flag(boolean_flag("beta")) == 4
    assert server.data()["beta"]["version"] == 4


def test_the_helpers_write_flags_that_the_sdk_evaluates(server: LaunchDarklyServer) -> None:
    server.set_flag(boolean_flag("off", on=False, fallthrough=True))
    server.set_flag(
        boolean_flag("needs-beta", fallthrough=True, prerequisites=[prerequisite("beta")])
    )
    server.set_flag(boolean_flag("half", fallthrough=rollout(50_000, 50_000)))
    server.set_flag(boolean_flag("not-employee", rules=[segment_rule("employee", negate=True)]))
    server.set_flag(
        string_flag(
            "layout", ("a", "b", "c"), rules=[segment_rule("employee", variation=2)], off="b"
        )
    )
    with client_of(server, send_events=False) as client:
        values = {
            key: (client.variation(key, EMPLOYEE, None), client.variation(key, USER, None))
            for key in ("off", "needs-beta", "not-employee", "layout")
        }
        served = {client.variation("half", Context.create(f"user-{n}"), None) for n in range(100)}
        reason = client.variation_detail("layout", EMPLOYEE, None).reason
    assert values == {
        "off": (False, False),
        "needs-beta": (True, False),
        "not-employee": (False, True),
        "layout": ("c", "a"),
    }
    assert served == {True, False}
    assert reason["ruleId"] == "rule-employee"


def test_browser_flags_are_marked() -> None:
    shown = boolean_flag("shown", client_side=True, fallthrough=True)
    with (
        LaunchDarklyServer(shown, boolean_flag("hidden")) as server,
        client_of(server, send_events=False) as client,
    ):
        state = client.all_flags_state(USER, client_side_only=True)
        assert state.to_values_map() == {"shown": True}


def test_a_rollout_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(ValueError, match="add up to 90000"):
        rollout(45_000, 45_000)


# Faults


@pytest.mark.parametrize("clean", [False, True], ids=["cut", "closed"])
def test_dropped_streams_come_back_with_what_changed_meanwhile(
    server: LaunchDarklyServer, streaming: Source, clean: bool
) -> None:
    with client_of(server, send_events=False, **streaming.config()) as client:
        server.wait_for_streams(1)
        server.answer(503, paths=["/all", "/sdk/stream", "/sdk/poll"])
        assert server.drop_streams(clean=clean) == 1
        server.wait_for_streams(0)
        server.set_flag(boolean_flag("beta", fallthrough=True))
        assert client.variation("beta", USER, None) is False
        server.recover()
        await_value(client, "beta", USER, True)


def test_an_outage_is_told_and_ends(server: LaunchDarklyServer) -> None:
    with client_of(server, send_events=False) as client:
        assert state_of(client) == DataSourceState.VALID
        server.stop()
        await_state(client, DataSourceState.INTERRUPTED)
        assert client.variation("beta", EMPLOYEE, None) is True
        server.start()
        await_state(client, DataSourceState.VALID)


@pytest.mark.parametrize("source", [STREAM_V1, STREAM_V2], ids=lambda source: source.name)
def test_a_wrong_key_is_refused(
    server: LaunchDarklyServer, source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.WARNING, "ldclient"),
        client_of(server, 0.5, sdk_key="wrong", send_events=False, **source.config()) as client,
    ):
        assert not client.is_initialized()
        assert client.variation("beta", EMPLOYEE, "default") == "default"
        wait_until(lambda: "401" in caplog.text, timeout=ARRIVES, what="401 in the log")
    assert {request.status for request in server.requests()} == {401}
    assert server.open_streams == 0


def test_statuses_come_as_often_as_told_and_carry_headers(server: LaunchDarklyServer) -> None:
    server.answer(429, headers={"Retry-After": "1"}, paths=["/all"], times=2)
    with client_of(server, send_events=False) as client:
        assert client.is_initialized()
    assert [request.status for request in server.requests("/all")] == [429, 429, 200]
    server.answer(503, headers={"Retry-After": "7"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{server.url}/sdk/latest-all", timeout=10)
    assert (caught.value.code, caught.value.headers["Retry-After"]) == (503, "7")


def test_a_server_that_hangs_answers_when_it_recovers(server: LaunchDarklyServer) -> None:
    server.hang()
    with client_of(server, 0.2, send_events=False) as client:
        assert not client.is_initialized()
        server.recover()
        wait_until(client.is_initialized, timeout=ARRIVES, what="the client")
        assert client.variation("beta", EMPLOYEE, None) is True


def test_a_malformed_flag_keeps_a_client_from_starting_until_it_is_healed() -> None:
    with (
        LaunchDarklyServer(boolean_flag("good"), malformed_flag("bad")) as server,
        client_of(server, 0.5, send_events=False) as client,
    ):
        assert not client.is_initialized()
        server.set_flag(boolean_flag("bad", fallthrough=True))
        await_value(client, "bad", USER, True)


def test_a_malformed_flag_is_sent_to_a_running_client(server: LaunchDarklyServer) -> None:
    with client_of(server, send_events=False) as client:
        server.send_malformed_flag("bad")
        await_state(client, DataSourceState.INTERRUPTED)
        assert client.variation("beta", EMPLOYEE, None) is True
        server.delete_flag("bad")
        await_state(client, DataSourceState.VALID)


def test_bytes_that_are_no_json_restart_the_stream(server: LaunchDarklyServer) -> None:
    with client_of(server, send_events=False) as client:
        server.send_raw(b"event: patch\ndata: {not json\n\n")
        wait_until(
            lambda: len(server.requests("/all")) == 2, timeout=ARRIVES, what="a second stream"
        )
        server.set_flag(boolean_flag("beta", fallthrough=True))
        await_value(client, "beta", USER, True)


# Events and connections


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_events_are_recorded(server: LaunchDarklyServer, compressed: bool) -> None:
    ada = (
        Context.builder("ada")
        .set("email", "ada@agpt.co")
        .set("plan", "pro")
        .private("email")
        .build()
    )
    with client_of(server, enable_event_compression=compressed) as client:
        client.variation("beta", ada, None)
        client.track("bought", ada, data={"sku": 1}, metric_value=9.5)
        client.flush()
        found = server.wait_for_events(3)
    assert sorted(event["kind"] for event in found) == ["custom", "index", "summary"]
    (index,) = server.events("index")
    assert index["context"]["plan"] == "pro"
    assert index["context"]["_meta"] == {"redactedAttributes": ["email"]}
    (bought,) = server.wait_for_events(1, kind="custom")
    assert (bought["key"], bought["data"], bought["metricValue"]) == ("bought", {"sku": 1}, 9.5)
    (delivery,) = server.deliveries()
    assert "ada@agpt.co" not in delivery.text
    assert delivery.headers["X-LaunchDarkly-Event-Schema"] == "4"
    assert delivery.headers.get("Content-Encoding") == ("gzip" if compressed else None)
    server.clear_events()
    assert server.events() == []


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_diagnostics_are_recorded_apart(server: LaunchDarklyServer, compressed: bool) -> None:
    options = {"diagnostic_opt_out": False, "enable_event_compression": compressed}
    with client_of(server, **options):
        (started,) = server.wait_for_diagnostics(1)
    assert started["kind"] == "diagnostic-init"
    assert started["sdk"]["version"].startswith("9.")
    assert server.events() == []


def test_awaiting_events_that_never_come_fails(server: LaunchDarklyServer) -> None:
    with pytest.raises(TimeoutError, match="0 of 1 events"):
        server.wait_for_events(1, timeout=0.01)


def test_events_survive_one_failed_delivery(server: LaunchDarklyServer) -> None:
    server.answer(503, paths=["/bulk"], times=1)
    with client_of(server) as client:
        client.variation("beta", EMPLOYEE, None)
        client.flush()
        server.wait_for_events(2)
    assert [request.status for request in server.requests("/bulk")][:2] == [503, 202]


def test_what_is_no_json_is_refused(server: LaunchDarklyServer) -> None:
    request = urllib.request.Request(
        f"{server.url}/bulk", data=b"{not json", headers={"Authorization": server.sdk_key}
    )
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request, timeout=10)
    assert server.events() == []


def test_streams_are_counted_while_they_are_open(
    server: LaunchDarklyServer, streaming: Source
) -> None:
    options = {"send_events": False, **streaming.options}
    first = LDClient(server.sdk_config(**{**options, **streaming.config()}), start_wait=10)
    second = LDClient(server.sdk_config(**{**options, **streaming.config()}), start_wait=10)
    server.wait_for_streams(2)
    first.close()
    server.wait_for_streams(1)
    second.close()
    server.wait_for_streams(0)
    path = "/all" if streaming is STREAM_V1 else "/sdk/stream"
    assert [request.status for request in server.requests(path)] == [200, 200]


def test_a_stopped_server_refuses_connections(server: LaunchDarklyServer) -> None:
    server.stop()
    with pytest.raises(urllib.error.URLError, match="refused"):
        poll(server)
    server.start()
    assert poll(server)[0] == 200


def test_flags_set_from_many_streams_arrive_in_all(server: LaunchDarklyServer) -> None:
    clients = [LDClient(server.sdk_config(send_events=False), start_wait=10) for _ in range(5)]
    try:
        for number in range(100):
            server.set_flag(string_flag("count", (str(number),)))
        for client in clients:
            await_value(client, "count", USER, "99")
    finally:
        for client in clients:
            client.close()
