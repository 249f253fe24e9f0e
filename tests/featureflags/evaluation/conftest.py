"""Fixtures that several modules of this folder use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from tests.factories import UserFactory
from tests.featureflags.evaluation.tools_flag import TOOLS
from tests.services.launchdarkly import LaunchDarklyServer
from users.models import User


@pytest.fixture
def employee() -> User:
    return UserFactory.create(employee=True)


@pytest.fixture
def stranger() -> User:
    return UserFactory.create()


@pytest.fixture
def launchdarkly(settings: Settings) -> Iterator[LaunchDarklyServer]:
    """A LaunchDarkly on loopback, which the SDK is connected to."""
    with LaunchDarklyServer(TOOLS) as server:
        settings.FEATUREFLAGS = {
            **settings.FEATUREFLAGS,
            "SDK_KEY": server.sdk_key,
            "BASE_URI": server.url,
            "STREAM_URI": server.url,
            "EVENTS_URI": server.url,
            "SEND_EVENTS": True,
        }
        yield server
