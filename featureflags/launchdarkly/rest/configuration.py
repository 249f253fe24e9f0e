"""Which settings a REST client needs. Imports no HTTP library: the system checks ask it at start."""

from __future__ import annotations

from featureflags.core.conf import app_settings


def missing_variables(*, project: str, environment: str) -> list[str]:
    """The names of the environment variables that must still be set before a client can be made."""
    chosen = {
        "LAUNCHDARKLY_API_TOKEN": bool(app_settings().api_token),
        "LAUNCHDARKLY_PROJECT": bool(project),
        "LAUNCHDARKLY_ENVIRONMENT": bool(environment),
    }
    return [name for name, given in chosen.items() if not given]
