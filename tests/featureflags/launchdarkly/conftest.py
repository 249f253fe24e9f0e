"""A LaunchDarkly on loopback that the client is pointed to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from tests.services.launchdarkly import LaunchDarklyServer, boolean_flag


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
