"""A LaunchDarkly on loopback that the client is pointed to."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from tests.services.flag_json import boolean_flag, flag
from tests.services.launchdarkly import LaunchDarklyServer


@pytest.fixture
def service() -> Iterator[LaunchDarklyServer]:
    """A LaunchDarkly with one flag, which is on for everybody."""
    with LaunchDarklyServer(boolean_flag("beta", fallthrough=True)) as server:
        yield server


@pytest.fixture
def connected(service: LaunchDarklyServer, settings: Settings) -> LaunchDarklyServer:
    """The same, which the settings name."""
    settings.FEATUREFLAGS = {
        **settings.FEATUREFLAGS,
        "SDK_KEY": service.sdk_key,
        "BASE_URI": service.url,
        "STREAM_URI": service.url,
        "EVENTS_URI": service.url,
        "SEND_EVENTS": True,
    }
    return service


CHANGE_SECONDS = 0.02


def counter(number: int) -> dict[str, Any]:
    return flag("counter", [number], on=True, fallthrough=0, off_variation=0)


@pytest.fixture
def server() -> Iterator[LaunchDarklyServer]:
    """A LaunchDarkly whose flag `counter` goes on counting."""
    ended = threading.Event()

    def count(running: LaunchDarklyServer) -> None:
        for number in itertools.count(1):
            running.set_flag(counter(number))
            if ended.wait(CHANGE_SECONDS):
                return

    with LaunchDarklyServer(counter(0)) as running:
        counting = threading.Thread(target=count, args=(running,))
        counting.start()
        yield running
        ended.set()
        counting.join()
