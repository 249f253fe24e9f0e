"""The three caches: `default` (sessions and the rest), `featureflags` (snapshots), `cachalot`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.utils.module_loading import import_string


def embedded_caches(directory: Path) -> dict[str, dict[str, Any]]:
    """Caches in files, which the web process and the commands share without a server."""
    backends = {
        "default": "featureflags.cache.backends.surviving_file.SurvivingFileCache",
        "featureflags": "featureflags.cache.backends.file.SharedFileCache",
        "cachalot": "featureflags.cache.backends.surviving_file.SurvivingFileCache",
    }
    return {
        alias: {"BACKEND": backend, "LOCATION": str(directory / alias)}
        for alias, backend in backends.items()
    }


def redis_caches(
    url: str, *, key_prefix: str = "guidon", sentinels: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    """Caches in Redis. Only `featureflags` raises when it is down: our store wants to know.

    With `sentinels` (`host:port`) the host of `url` is the name of the primary.
    """
    watched: dict[str, Any] = {}
    if sentinels:
        pairs = [
            (host, int(port)) for host, _, port in (each.rpartition(":") for each in sentinels)
        ]
        watched = {**_options_of("core.redis_sentinel.SENTINEL_OPTIONS"), "SENTINELS": pairs}
    return {
        "default": _surviving(url, f"{key_prefix}:default", watched),
        # django-cachalot knows the backends that it supports by their path.
        "cachalot": _surviving(url, f"{key_prefix}:cachalot", watched),
        "featureflags": {
            "BACKEND": "featureflags.cache.backends.redis.SharedRedisCache",
            "LOCATION": url,
            # Each user's name begins with it: a letter is a byte for everybody.
            "KEY_PREFIX": f"{key_prefix}:f",
            "OPTIONS": watched,
        },
    }


def _surviving(url: str, key_prefix: str, watched: dict[str, Any]) -> dict[str, Any]:
    """A cache without which a page works too. It shares the budget of waiting with `featureflags`."""
    options = _options_of("cache.backends.redis.OPTIONS")
    ours = {name: value for name, value in options.items() if name != "SERIALIZER"}
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": url,
        "KEY_PREFIX": key_prefix,
        "OPTIONS": {**ours, "IGNORE_EXCEPTIONS": True, **watched},
    }


def _options_of(name: str) -> Mapping[str, Any]:
    """Imported only where there is a Redis: its client takes a tenth of a second."""
    found: Mapping[str, Any] = import_string(f"featureflags.{name}")
    return found
