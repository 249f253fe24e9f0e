"""When flags were created and last changed, from LaunchDarkly's REST API (the SDK does not know).

For pages: all processes together ask at most once in KEPT_SECONDS, with a short timeout, and only if
there is an API token. A failure is cached for as long, so that no page waits for it twice.
"""

from __future__ import annotations

import logging
from typing import Final

import msgspec
from django.core.cache import caches

from featureflags.core.conf import app_settings
from featureflags.core.monitoring import report
from featureflags.launchdarkly.rest.client import ManagementClient, management_client
from featureflags.launchdarkly.rest.errors import ManagementError, NotConfiguredError
from featureflags.launchdarkly.rest.models import RemoteFlag
from featureflags.launchdarkly.rest.retries import WHILE_SOMEBODY_WAITS

logger = logging.getLogger(__name__)

KEPT_SECONDS: Final = 60
MICROSECONDS_PER_MILLISECOND: Final = 1000


class FlagDates(msgspec.Struct, frozen=True, kw_only=True):
    """Instants in µs; None where LaunchDarkly does not say."""

    created_at: int | None
    changed_at: int | None
    """In this environment."""
    version: int | None
    """The version after that change. If the SDK has a newer one, the flag changed again since."""


class KnownDates(msgspec.Struct, frozen=True, kw_only=True):
    """Dates by flag key, or the reason why they are missing."""

    flags: dict[str, FlagDates] = {}
    problem: str = ""
    """The error of the REST API, or the variables that are not set; empty if neither."""


_decode = msgspec.msgpack.Decoder(KnownDates).decode


def flag_dates() -> KnownDates:
    """The dates of all flags that are not archived. Never raises."""
    try:
        client = management_client(policy=WHILE_SOMEBODY_WAITS)
    except NotConfiguredError as error:
        return KnownDates(problem=error.message)
    with client:
        name = f"flag-dates:{client.project}:{client.environment}"
        found = _cached(name)
        if found is None:
            found = _asked(client)
            _keep(name, found)
    return found


def _asked(client: ManagementClient) -> KnownDates:
    try:
        return KnownDates(
            flags={flag.key: _dates(flag, client.environment) for flag in client.flags()}
        )
    except ManagementError as error:
        message = "LaunchDarkly could not be asked for the dates of flags: %s"
        report(logger, "flag_dates_failed", message, error)
        return KnownDates(problem=str(error))


def _dates(flag: RemoteFlag, environment: str) -> FlagDates:
    here = (flag.environments or {}).get(environment)
    return FlagDates(
        created_at=_microseconds(flag.creation_date),
        changed_at=None if here is None else _microseconds(here.last_modified),
        version=None if here is None else here.version,
    )


def _microseconds(milliseconds: int | None) -> int | None:
    return None if milliseconds is None else milliseconds * MICROSECONDS_PER_MILLISECOND


def _cached(name: str) -> KnownDates | None:
    try:
        kept = caches[app_settings().cache].get(name)
        return _decode(kept) if isinstance(kept, bytes) else None
    except Exception as error:  # noqa: BLE001 - each backend has its own errors
        _report_cache(error)
        return None


def _keep(name: str, found: KnownDates) -> None:
    try:
        caches[app_settings().cache].set(name, msgspec.msgpack.encode(found), KEPT_SECONDS)
    except Exception as error:  # noqa: BLE001 - each backend has its own errors
        _report_cache(error)


def _report_cache(error: Exception) -> None:
    message = "The cache failed to keep the dates of flags: %s"
    report(logger, "flag_dates_cache_failed", message, type(error).__name__)
