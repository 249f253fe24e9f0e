"""A LaunchDarkly REST API on loopback, and a client of it that does not wait long."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from featureflags.launchdarkly.rest.client import ManagementClient
from featureflags.launchdarkly.rest.retries import RetryPolicy
from featureflags.launchdarkly.rest.transport import Secret
from tests.services.launchdarkly_api import LaunchDarklyApiServer

IMPATIENT = RetryPolicy(attempts=4, first_wait=0.001, longest_wait=0.002, jitter=0.0)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[LaunchDarklyApiServer]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with LaunchDarklyApiServer() as server:
        yield server


@pytest.fixture
def rest(api: LaunchDarklyApiServer) -> Iterator[ManagementClient]:
    with ManagementClient(
        token=Secret(api.token),
        url=api.url,
        project=api.project,
        environment=api.environment,
        policy=IMPATIENT,
    ) as client:
        yield client
