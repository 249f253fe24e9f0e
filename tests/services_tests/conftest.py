"""Fixtures that several modules of this folder use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services.launchdarkly import LaunchDarklyServer, boolean_flag, segment_rule
from tests.services_tests.clients import SOURCES, Source


@pytest.fixture
def server() -> Iterator[LaunchDarklyServer]:
    with LaunchDarklyServer(boolean_flag("beta", rules=[segment_rule("employee")])) as running:
        yield running


@pytest.fixture(params=SOURCES, ids=lambda source: source.name)
def source(request: pytest.FixtureRequest) -> Source:
    chosen: Source = request.param
    return chosen
