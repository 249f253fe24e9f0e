"""One client for a process: lazy, awaited once and not for long, closed with its events delivered."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest
from pytest_django.fixtures import Settings

from featureflags.core import monitoring
from featureflags.core.types import JSONValue
from featureflags.evaluation import avariation
from featureflags.launchdarkly import client as connection
from featureflags.launchdarkly import log_filters
from featureflags.launchdarkly.client import close, current_clients, has_flags, looking
from featureflags.launchdarkly.feature_store import CopyOnWriteStore
from featureflags.launchdarkly.status import State, connection_status
from tests.featureflags.launchdarkly.asking import ARRIVES, USER, ask, wait_for
from tests.services.launchdarkly import LaunchDarklyServer, boolean_flag
from tests.services.waiting import PATIENCE_SECONDS, wait_until

STEPS = 20
"""Of the event loop, before LaunchDarkly answers."""


class TestStart:
    def test_nothing_is_made_before_the_first_use(self, connected: LaunchDarklyServer) -> None:
        assert current_clients(start=False) is None
        assert connected.requests() == []
        assert ask() is True
        assert current_clients(start=False) is current_clients(start=True)

    def test_threads_that_come_first_at_once_share_one_client(
        self, connected: LaunchDarklyServer
    ) -> None:
        together = threading.Barrier(8)
        seen: list[object] = []

        def first() -> None:
            together.wait(PATIENCE_SECONDS)
            seen.append((connection.client(), ask()))

        threads = [threading.Thread(target=first) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(seen)) == 1
        assert connected.open_streams == 1

    def test_a_silent_service_is_waited_for_once(
        self, connected: LaunchDarklyServer, settings: Settings
    ) -> None:
        """Both threads that come first, and nobody after them."""
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "START_WAIT": 0.5}
        connected.hang()
        answers: list[JSONValue] = []
        threads = [
            threading.Thread(target=lambda: answers.append(ask(default="default")))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == ["default", "default"]
        assert len(connected.requests("/all")) <= 1, "one client"
        assert not has_flags()
        connected.recover()
        wait_for(True)

    def test_the_store_is_ours(self, connected: LaunchDarklyServer) -> None:
        assert isinstance(connection.feature_store(), CopyOnWriteStore)
        ask()
        assert connection.feature_store().raw()["flags"]["beta"]["on"] is True


class TestOutage:
    def test_the_last_values_hold_and_the_next_change_arrives(
        self, connected: LaunchDarklyServer
    ) -> None:
        assert ask() is True
        connected.stop()
        assert ask() is True
        connected.set_flag(boolean_flag("beta", fallthrough=False))
        connected.start()
        wait_for(False)

    @pytest.mark.parametrize(
        ("event", "data"),
        [
            ("patch", "{"),
            ("patch", '{"path": "/flags/beta", "data": 5}'),
            ("delete", '{"path": "/flags/beta"}'),
            ("put", '{"path": "/", "data": {"flags": 5, "segments": null}}'),
            ("put", '{"path": "/", "data": {"flags": {"beta": null}, "segments": {}}}'),
        ],
        ids=["no JSON", "no flag", "no version", "no flags", "one is none"],
    )
    def test_a_message_that_makes_no_sense_takes_nothing_away(
        self, connected: LaunchDarklyServer, event: str, data: str
    ) -> None:
        assert ask() is True
        connected.send_raw(f"event: {event}\ndata: {data}\n\n".encode())
        connected.set_flag(boolean_flag("second", fallthrough=True))
        wait_until(lambda: ask("second"), timeout=ARRIVES, what="the next change")
        assert ask() is True

    def test_the_sdk_s_log_is_not_flooded_while_there_are_no_flags(
        self,
        connected: LaunchDarklyServer,
        settings: Settings,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "START_WAIT": 0.1}
        connected.stop()
        with caplog.at_level(logging.WARNING):
            for number in range(50):
                ask(f"flag-{number}")
        assert caplog.text.count("evaluation attempted before client has initialized") == 1

    def test_the_log_of_other_clients_is_left_alone(self, connected: LaunchDarklyServer) -> None:
        """A project may have clients of its own, or none of ours any more."""
        ask()
        close()
        assert all(not logging.getLogger(name).filters for name in log_filters.LOGGERS)


class TestClose:
    def test_what_was_recorded_is_delivered(self, connected: LaunchDarklyServer) -> None:
        ask()
        connection.client().track("bought", USER)
        close()
        assert {event["kind"] for event in connected.events()} == {"index", "summary", "custom"}
        assert current_clients(start=False) is None
        connected.wait_for_streams(0)

    def test_the_next_use_makes_a_new_client(self, connected: LaunchDarklyServer) -> None:
        ask()
        first = connection.client()
        close()
        close()
        assert ask() is True
        assert connection.client() is not first

    def test_a_service_that_hangs_is_left_behind_in_time(
        self, connected: LaunchDarklyServer, settings: Settings
    ) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "CLOSE_WAIT": 0.2}
        ask()
        connected.hang(paths=["/bulk"])
        close()
        assert connected.events() == []
        assert monitoring.counts()["launchdarkly_close_failed"] == 1

    def test_looking_sends_no_events(self, connected: LaunchDarklyServer) -> None:
        with looking():
            assert ask() is True
            connection.client().track("bought", USER)
        close()
        assert connected.events() == []


class TestRefusedKey:
    """With events, which are refused too, each with a line of the SDK's own about the key."""

    SAID = (
        "LaunchDarkly refuses the SDK key (HTTP {}). Check LAUNCHDARKLY_SDK_KEY. "
        "It is tried again every 30 seconds."
    )

    @staticmethod
    def about_the_key(caplog: pytest.LogCaptureFixture) -> list[str]:
        warned = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
        return [message for message in warned if "40" in message or "SDK key" in message]

    @pytest.mark.parametrize("status", [401, 403])
    def test_it_is_said_once_and_what_to_do(
        self,
        connected: LaunchDarklyServer,
        settings: Settings,
        caplog: pytest.LogCaptureFixture,
        status: int,
    ) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "START_WAIT": 0.1}
        connected.answer(status)
        with caplog.at_level(logging.DEBUG):
            ask()
            wait_until(
                lambda: "refuses the SDK key" in caplog.text, timeout=ARRIVES, what="the log line"
            )
            for _ in range(3):
                ask()
            close()
        assert connected.requests("/bulk")
        assert self.about_the_key(caplog) == [self.SAID.format(status)]
        assert connected.sdk_key not in caplog.text

    @pytest.mark.parametrize("since", ["the start", "later"])
    def test_a_key_that_is_put_right_needs_no_restart(
        self,
        connected: LaunchDarklyServer,
        settings: Settings,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        since: str,
    ) -> None:
        """The SDK by itself asks again after five minutes."""
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "START_WAIT": 0.5}
        monkeypatch.setattr(connection, "REFUSED_RETRY_SECONDS", 0.3)
        if since == "later":
            assert ask() is True
        connected.answer(401)
        connected.drop_streams()
        ask()
        wait_until(
            lambda: (found := connection_status().error) is not None and found.http_status == 401,
            timeout=ARRIVES,
            what="the refusal",
        )
        wait_until(lambda: len(connected.requests("/all")) > 4, timeout=ARRIVES, what="new tries")
        assert connection_status().state is not State.VALID
        assert caplog.text.count("refuses the SDK key") == 1
        connected.set_flag(boolean_flag("beta", fallthrough=False))
        connected.recover()
        wait_until(
            lambda: connection_status().state is State.VALID, timeout=ARRIVES, what="the key"
        )
        wait_for(False)
        connected.set_flag(boolean_flag("beta", fallthrough=True))
        wait_for(True)
        connected.clear_events()
        ask()
        close()
        assert connected.events("summary"), "events too"
        assert caplog.text.count("refuses the SDK key") == 1, (
            "the end of the old client does not count"
        )
        assert "launchdarkly-retry" not in {each.name for each in threading.enumerate()}

    def test_where_only_events_are_refused_the_sdk_logs_it(
        self, connected: LaunchDarklyServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        connected.answer(401, paths=["/bulk"])
        with caplog.at_level(logging.WARNING):
            assert ask() is True
            close()
        (said,) = self.about_the_key(caplog)
        assert "events" in said


@pytest.mark.django_db(transaction=True)
async def test_the_event_loop_goes_on_while_the_first_check_waits(
    connected: LaunchDarklyServer, settings: Settings
) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "SEND_EVENTS": False}
    connected.hang()
    steps = 0

    async def go_on(asking: asyncio.Task[bool]) -> None:
        nonlocal steps
        while not asking.done():
            steps += 1
            if steps == STEPS:
                connected.recover()
            await asyncio.sleep(0.01)

    asking: asyncio.Task[bool] = asyncio.create_task(avariation("beta", default=False))
    await go_on(asking)
    assert steps >= STEPS, "a loop that waits itself makes a few, until the context is there"
    assert await asking is True, "LaunchDarkly answered only after these steps"
