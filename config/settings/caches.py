"""The three caches: `default` (sessions and the rest), `featureflags` (snapshots), `cachalot`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from redis.backoff import NoBackoff
from redis.retry import Retry

SERIALIZER = "featureflags.cache.backends.redis.BytesSerializer"

REDIS_TIMEOUT_SECONDS = 0.5
"""For each call where no request waits. A request has a budget: see `featureflags.core.deadlines`."""


def embedded_caches(directory: Path) -> dict[str, dict[str, Any]]:
    """Caches in files, which the web process and the commands share without a server."""
    return {
        alias: {
            "BACKEND": "featureflags.cache.backends.file.SharedFileCache",
            "LOCATION": str(directory / alias),
        }
        for alias in ("default", "featureflags", "cachalot")
    }


def redis_caches(url: str, *, key_prefix: str = "guidon") -> dict[str, dict[str, Any]]:
    """Caches in Redis. Only `featureflags` raises when Redis is down: our store wants to know."""
    options = {
        "CLIENT_CLASS": "django_redis.client.DefaultClient",
        # All aliases share one budget of waiting for each request.
        "CONNECTION_POOL_CLASS": "featureflags.core.redis_connections.DeadlinePool",
        "SOCKET_CONNECT_TIMEOUT": REDIS_TIMEOUT_SECONDS,
        "SOCKET_TIMEOUT": REDIS_TIMEOUT_SECONDS,
        # One new try at once heals a connection that Redis dropped; more only wait.
        "CONNECTION_POOL_KWARGS": {"retry": Retry(NoBackoff(), 1)},
    }
    survives = {"IGNORE_EXCEPTIONS": True}
    return {
        "default": _redis(url, f"{key_prefix}:default", {**options, **survives}),
        # django-cachalot knows the backends that it supports by their path.
        "cachalot": _redis(url, f"{key_prefix}:cachalot", {**options, **survives}),
        "featureflags": {
            # Each user's name begins with it: a letter is a byte for everybody.
            **_redis(url, f"{key_prefix}:f", {**options, "SERIALIZER": SERIALIZER}),
            "BACKEND": "featureflags.cache.backends.redis.SharedRedisCache",
        },
    }


def _redis(url: str, key_prefix: str, options: dict[str, Any]) -> dict[str, Any]:
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": url,
        "KEY_PREFIX": key_prefix,
        "OPTIONS": options,
    }
