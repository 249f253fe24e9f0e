"""What is watched: the tables behind the project's kinds.

They follow from the paths of the kinds' fields (`featureflags.kinds.watches`). A project that changes
what a row means in a way that no path says adds a list, or a function that gives one, by
`FEATUREFLAGS["WATCHES"]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from featureflags.core.conf import app_settings
from featureflags.kinds.registry import kinds
from featureflags.kinds.watches import Hop, Watch

__all__ = ["Hop", "Watch", "declared_watches"]


@cache
def declared_watches() -> tuple[Watch, ...]:
    """All watches. Raises ImportError or AttributeError where the project's own cannot be imported."""
    watches = [watch for kind in kinds() for watch in kind.watches]
    path = app_settings().watches
    if path:
        found: Iterable[Watch] | Callable[[], Iterable[Watch]] = import_string(path)
        watches += found() if callable(found) else found
    return tuple(watches)


def forget(*, setting: str = "FEATUREFLAGS", **_: Any) -> None:
    """Read the declarations again when they are needed next."""
    if setting in {"FEATUREFLAGS", "INSTALLED_APPS", "AUTH_USER_MODEL"}:
        declared_watches.cache_clear()


setting_changed.connect(forget, dispatch_uid="featureflags.capture.watches")
