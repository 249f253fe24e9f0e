"""Which events are sent, and what they cost: contexts, and summaries without any."""

from __future__ import annotations

from typing import Any

import pytest
from ldclient import Context
from pytest_django.fixtures import Settings

from featureflags.launchdarkly.client import client, close
from tests.featureflags.launchdarkly.asking import USER
from tests.services.launchdarkly import LaunchDarklyServer, boolean_flag

MEMBERS = [Context.builder(f"member-{n}").set("email", f"m{n}@agpt.co").build() for n in range(20)]


def evaluate_all(times: int = 1) -> None:
    for _ in range(times):
        for member in MEMBERS:
            client().variation("beta", member, None)
    close()


def kinds(server: LaunchDarklyServer) -> list[str]:
    return [event["kind"] for event in server.events()]


def served(server: LaunchDarklyServer) -> list[dict[str, Any]]:
    return [
        counter
        for event in server.events("summary")
        for counter in event["features"]["beta"]["counters"]
    ]


def test_each_context_is_sent_once(connected: LaunchDarklyServer) -> None:
    evaluate_all(times=3)
    assert kinds(connected).count("index") == len(MEMBERS)


def test_a_small_memory_of_contexts_sends_them_again_and_again(
    connected: LaunchDarklyServer, settings: Settings
) -> None:
    """Why the default is not the SDK's 1,000."""
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "CONTEXT_KEYS_CAPACITY": 5}
    evaluate_all(times=3)
    assert kinds(connected).count("index") == 3 * len(MEMBERS)


class TestSummaryOnly:
    @pytest.fixture(autouse=True)
    def summary_only(self, connected: LaunchDarklyServer, settings: Settings) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "SUMMARY_EVENTS_ONLY": True}

    def test_counts_are_sent_and_nobody_is_named(self, connected: LaunchDarklyServer) -> None:
        evaluate_all(times=2)
        assert kinds(connected) == ["summary"]
        (counter,) = served(connected)
        assert (counter["value"], counter["count"]) == (True, 2 * len(MEMBERS))
        assert connected.events("summary")[0]["features"]["beta"]["contextKinds"] == ["user"]
        text = "".join(delivery.text for delivery in connected.deliveries())
        assert "member-" not in text
        assert "agpt.co" not in text

    def test_tracked_and_debugged_flags_name_nobody_either(
        self, connected: LaunchDarklyServer
    ) -> None:
        tracked = boolean_flag("beta", fallthrough=True, track_events=True)
        connected.set_flag({**tracked, "debugEventsUntilDate": 99_999_999_999_999})
        client().track("bought", USER)
        evaluate_all()
        assert {"feature", "custom", "index"}.isdisjoint(kinds(connected))
        text = "".join(delivery.text for delivery in connected.deliveries())
        assert "member-" not in text
        assert "ada" not in text
        assert sum(counter["count"] for counter in served(connected)) == len(MEMBERS)
