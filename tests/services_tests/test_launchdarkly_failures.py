"""LaunchDarkly's fake server when things fail, and what it records."""

from __future__ import annotations

import logging
import urllib.error
import urllib.request

import pytest
from ldclient import Context, LDClient
from ldclient.interfaces import DataSourceState

from tests.services.flag_json import boolean_flag, malformed_flag, string_flag
from tests.services.launchdarkly import LaunchDarklyServer
from tests.services.waiting import wait_until
from tests.services_tests.clients import (
    ARRIVES,
    EMPLOYEE,
    STREAM_V1,
    STREAM_V2,
    STREAMING,
    USER,
    Source,
    await_value,
    client_of,
    poll,
)


def state_of(client: LDClient) -> DataSourceState:
    state: DataSourceState = client.data_source_status_provider.status.state
    return state


def await_state(client: LDClient, expected: DataSourceState) -> None:
    wait_until(lambda: state_of(client) == expected, timeout=ARRIVES, what=expected.name)


@pytest.fixture(params=STREAMING, ids=lambda source: source.name)
def streaming(request: pytest.FixtureRequest) -> Source:
    chosen: Source = request.param
    return chosen


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


def test_an_outage_is_reported_and_ends(server: LaunchDarklyServer) -> None:
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


def test_statuses_come_as_often_as_asked_and_carry_headers(server: LaunchDarklyServer) -> None:
    server.answer(429, headers={"Retry-After": "1"}, paths=["/all"], times=2)
    with client_of(server, send_events=False) as client:
        assert client.is_initialized()
    assert [request.status for request in server.requests("/all")] == [429, 429, 200]
    server.answer(503, headers={"Retry-After": "7"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{server.url}/sdk/latest-all", timeout=60)
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


def test_invalid_json_restarts_the_stream(server: LaunchDarklyServer) -> None:
    with client_of(server, send_events=False) as client:
        server.send_raw(b"event: patch\ndata: {not json\n\n")
        wait_until(
            lambda: len(server.requests("/all")) == 2, timeout=ARRIVES, what="a second stream"
        )
        server.set_flag(boolean_flag("beta", fallthrough=True))
        await_value(client, "beta", USER, True)


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


def test_invalid_json_is_refused(server: LaunchDarklyServer) -> None:
    request = urllib.request.Request(
        f"{server.url}/bulk", data=b"{not json", headers={"Authorization": server.sdk_key}
    )
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request, timeout=60)
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
