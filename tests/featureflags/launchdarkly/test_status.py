"""The status shows the true state, since when, the last change and the last error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from featureflags.core.conf import Source
from featureflags.launchdarkly.client import close
from featureflags.launchdarkly.status import ConnectionStatus, State, connection_status
from tests.featureflags.launchdarkly.asking import ARRIVES, ask, wait_for
from tests.services.flag_json import boolean_flag, segment
from tests.services.launchdarkly import LaunchDarklyServer
from tests.services.processes import manage
from tests.services.variables import of_embedded
from tests.services.waiting import wait_until


def until(state: State) -> ConnectionStatus:
    wait_until(
        lambda: connection_status().state is state, timeout=ARRIVES, what=f"the state {state}"
    )
    return connection_status()


class TestStates:
    def test_it_starts_nothing_unless_asked(self, connected: LaunchDarklyServer) -> None:
        assert connection_status().state is State.NOT_STARTED
        assert connected.requests() == []
        assert connection_status(start=True).state is State.VALID

    def test_valid(self, connected: LaunchDarklyServer) -> None:
        connected.set_segment(segment("part"))
        ask()
        status = until(State.VALID)
        assert (status.source, status.flags, status.segments) == (Source.STREAMING, 1, 1)
        assert status.has_flags
        assert not status.is_spare
        assert status.error is None
        assert status.since is not None
        first = status.changed_at
        assert first is not None
        connected.set_flag(boolean_flag("beta", fallthrough=False))
        wait_for(False)
        assert (connection_status().changed_at or 0) > first
        assert connection_status().since == status.since

    def test_interrupted_and_valid_again(self, connected: LaunchDarklyServer) -> None:
        ask()
        valid = until(State.VALID)
        connected.stop()
        status = until(State.INTERRUPTED)
        assert status.error is not None
        assert status.error.at is not None
        assert (status.since or 0) >= (valid.since or 0)
        assert status.has_flags
        connected.start()
        until(State.VALID)

    def test_a_refused_key(self, connected: LaunchDarklyServer, settings: Settings) -> None:
        settings.FEATUREFLAGS = {
            **settings.FEATUREFLAGS,
            "SDK_KEY": "sdk-wrong",
            "START_WAIT": 0.1,
            "SEND_EVENTS": False,
        }
        ask()
        wait_until(lambda: connection_status().error, timeout=ARRIVES, what="the answer")
        status = connection_status()
        assert status.state is State.INITIALIZING
        assert not status.has_flags
        assert status.error is not None
        assert status.error.http_status == 401
        assert status.error.message == (
            "LaunchDarkly refuses the SDK key. It is tried again every 30 seconds."
        )
        assert "sdk-wrong" not in json.dumps(status.to_dict())

    def test_a_file_that_cannot_be_read_has_an_error_without_a_time(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        """The SDK's file source gives no time."""
        path = tmp_path / "flags.json"
        path.write_text("{")
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "FLAG_FILE": str(path)}
        ask()
        status = connection_status()
        assert status.state is State.INITIALIZING
        assert status.error is not None
        assert status.to_dict()["error"]["at"] is None

    def test_offline_is_off(self, settings: Settings) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "SOURCE": "offline"}
        assert connection_status(start=True).state is State.OFF

    def test_after_a_close_nothing_runs(self, connected: LaunchDarklyServer) -> None:
        ask()
        close()
        assert connection_status().state is State.NOT_STARTED


class TestCommand:
    @pytest.fixture
    def env(self, service: LaunchDarklyServer, tmp_path: Path) -> dict[str, str | None]:
        return of_embedded(service, tmp_path, LAUNCHDARKLY_START_WAIT="10")

    def test_valid_ends_with_0(
        self, env: dict[str, str | None], service: LaunchDarklyServer
    ) -> None:
        done = manage(env, "launchdarkly_status", "--json")
        assert done.returncode == 0, done.stderr
        shown = json.loads(done.stdout)
        assert (shown["source"], shown["state"], shown["flags"]) == ("streaming", "valid", 1)
        assert service.events() == []

    def test_anything_else_ends_with_1_and_gives_the_reason(
        self, env: dict[str, str | None], service: LaunchDarklyServer
    ) -> None:
        wrong = {**env, "LAUNCHDARKLY_SDK_KEY": "sdk-wrong", "LAUNCHDARKLY_START_WAIT": "2"}
        done = manage(wrong, "launchdarkly_status")
        assert done.returncode == 1
        assert "LaunchDarkly's state is initializing." in done.stderr
        assert "LaunchDarkly refuses the SDK key." in done.stdout
        assert "sdk-wrong" not in done.stdout + done.stderr
