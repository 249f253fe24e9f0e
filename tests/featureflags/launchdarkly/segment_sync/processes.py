"""What a process of its own needs to meet this test's database and the server on loopback."""

from __future__ import annotations

import os

from django.db import connection

from tests.services.launchdarkly_api import LaunchDarklyApiServer


def environment(api: LaunchDarklyApiServer) -> dict[str, str | None]:
    """Variables that win over those of the test run. The caller uses a transactional database."""
    name = connection.settings_dict["NAME"]
    given = os.environ.get("DATABASE_URL", "")
    url = f"{given.rpartition('/')[0]}/{name}" if given else f"sqlite:///{name}"
    return {
        "DATABASE_URL": url,
        "LAUNCHDARKLY_API_URL": api.url,
        "LAUNCHDARKLY_API_TOKEN": api.token,
        "LAUNCHDARKLY_PROJECT": api.project,
        "LAUNCHDARKLY_ENVIRONMENT": api.environment,
    }
