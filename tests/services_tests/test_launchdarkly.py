"""The LaunchDarkly on loopback, asked by the real SDK: data, changes, faults, events."""

from __future__ import annotations

import pytest
from ldclient import Context

from tests.services.flag_json import (
    boolean_flag,
    clause,
    prerequisite,
    rollout,
    segment,
    segment_rule,
    string_flag,
)
from tests.services.launchdarkly import LaunchDarklyServer
from tests.services_tests.clients import (
    EMPLOYEE,
    STREAM_V2,
    USER,
    Source,
    await_value,
    client_of,
    poll,
)


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
