"""Imports what a client of LaunchDarkly imports when it is made, or first finds its server."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Final

from featureflags.core.conf import Source, app_settings, source_of

LATE: Final = (
    "encodings.idna",
    "importlib.readers",
    "importlib.resources.readers",
    "ldclient.impl.datasystem.fdv1",
)
"""Of SDK 9.18; another release may do without some."""


INTEGRATIONS: Final = ("ldclient.integrations", "ldclient.integrations.test_data")
"""They import the clients of every store that the SDK knows: only where one of them is used."""
SPARE: Final = ("redis", "redis.backoff", "redis.retry")


def preload() -> None:
    settings = app_settings()
    has_integration = source_of(settings) in {Source.FILE, Source.DAEMON, Source.TEST_DATA}
    names = [*LATE, *(INTEGRATIONS if has_integration else ())]
    for name in [*names, *(SPARE if settings.spare_url else ())]:
        with suppress(ImportError):
            import_module(name)
