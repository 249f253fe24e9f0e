"""The extras of the package: what each needs, and whether it is there. `pip install "guidon[redis]"`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Final

EXTRAS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "redis": ("redis", "django_redis"),
        "celery": ("celery",),
        "api": ("rest_framework", "django_filters", "drf_spectacular"),
        "openfeature": ("openfeature",),
        "cachalot": ("cachalot",),
        "encryption": ("cryptography",),
        "metrics": ("prometheus_client",),
        "tracing": ("opentelemetry",),
        "sync": ("httpx", "stamina"),
    }
)
"""Extra → the modules that its packages bring."""


def missing_modules(extra: str) -> list[str]:
    """The modules of the extra that cannot be imported. Empty: it is installed."""
    return [name for name in EXTRAS[extra] if find_spec(name) is None]


def how_to_install(extra: str) -> str:
    """The command, for a message."""
    return f'pip install "guidon[{extra}]"'
