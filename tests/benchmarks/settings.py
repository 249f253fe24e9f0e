"""The settings of the benchmarks: those of the tests, and the libraries to compare with."""

from __future__ import annotations

from config.settings import testing
from config.settings.caches import redis_caches
from config.settings.environment import env
from config.settings.testing import *  # noqa: F403 - Django reads settings as names of this module

INSTALLED_APPS = [*testing.INSTALLED_APPS, "waffle", "flags"]

CACHES = {
    **testing.CACHES,
    "tcp": redis_caches(env("REDIS_TCP_URL"))["featureflags"],
    "locmem": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "stock-redis": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": testing.REDIS_URL,
        "KEY_PREFIX": "stock",
    },
}
FLAGS: dict[str, list[dict[str, object]]] = {"benchmark": []}
FLAG_SOURCES = ["flags.sources.DatabaseFlagsSource"]
WAFFLE_CACHE_NAME = "locmem"
