"""Imports all that an evaluation needs, when the process starts.

Python locks a module while one thread imports it. If another thread forks then, the child waits for
that import for ever as soon as it needs the same module. So no evaluation imports anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.core.cache import caches

from featureflags.contexts.attributes import catalogue
from featureflags.core.conf import app_settings
from featureflags.flags.declared import declared_flags
from featureflags.launchdarkly import preload as launchdarkly


def preload() -> None:
    """Opens no connection. Raises nothing: the checks, or the first use, report problems."""
    for load in _LOADERS:
        try:
            load()
        except Exception:  # noqa: BLE001, S112 - see above; what a project's module raises
            continue


def _cache() -> None:
    backend = caches[app_settings().cache]
    # django-redis imports the classes that its options name when it makes the client.
    getattr(backend, "client", None)


_LOADERS: Final[tuple[Callable[[], object], ...]] = (
    declared_flags,
    catalogue,
    _cache,
    launchdarkly.preload,
)
