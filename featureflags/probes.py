"""What this process needs, and what of it fails now: for `/readyz` and for webhooks.

problems(connection_status())   {"database": None, "cache": "TimeoutError", …}
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable

from django.core.cache import caches
from django.db import connection

from featureflags.capture.installation import problems as trigger_problems
from featureflags.core.conf import app_settings
from featureflags.core.monitoring import report
from featureflags.launchdarkly.status import ConnectionStatus, State

logger = logging.getLogger(__name__)

PROBE = b"up"
"""Bytes, as the snapshot cache holds nothing else; no digits, which django-redis reads as a number."""
PROBE_SECONDS = 10


def problems(status: ConnectionStatus) -> dict[str, str | None]:
    """By part, the name of what is wrong, or None. Never raises."""
    return {
        "database": _problem(_ask_database),
        "cache": _problem(_ask_cache),
        "triggers": _problem(_ask_triggers),
        "launchdarkly": _launchdarkly_problem(status),
    }


def _problem(ask: Callable[[], None]) -> str | None:
    try:
        ask()
    except Exception as error:  # noqa: BLE001 - each backend has its own errors
        name = type(error).__name__
        report(logger, "not_ready", "A readiness check failed: %s", name)
        return name
    return None


def _ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _ask_triggers() -> None:
    """Raises LookupError where a trigger is missing, old or disabled: some writes are not seen."""
    if app_settings().triggers and trigger_problems(connection):
        raise LookupError


def _ask_cache() -> None:
    cache = caches[app_settings().cache]
    key = f"health-{uuid.uuid4().hex}"
    cache.set(key, PROBE, PROBE_SECONDS)
    if cache.get(key) != PROBE:
        raise LookupError
    cache.delete(key)


def _launchdarkly_problem(status: ConnectionStatus) -> str | None:
    if status.state in {State.VALID, State.OFF}:
        return None
    return status.state.value
