"""The log: one line for each thing that happened, and not one for each request while a server is away."""

from __future__ import annotations

from typing import Any

from config.settings.environment import env

ONE_A_MINUTE = (
    "config.views",
    "django.request",
    "django.contrib.sessions",
    "featureflags.api.exceptions",
    "featureflags.api.health",
    "featureflags.cache.protocol",
    "featureflags.cache.snapshot_store",
    "featureflags.unavailable",
    "users.middleware",
)
"""Loggers that would write a line for each request while a server is away or a disk is full."""


def logging(*, has_broker: bool, default_format: str = "console") -> dict[str, Any]:
    """Django's setting LOGGING. `LOG_LEVEL` is the level of the root; `LOG_FORMAT` is `json` or
    `console`."""
    chosen = env.str("LOG_FORMAT", default=default_format)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {"()": "config.request_log.formatter", "form": chosen},
        },
        "filters": {"outages": {"()": "config.logs.OncePerMinute"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
        "loggers": {
            # The SDK logs each reconnection; its status is ours to report.
            "ldclient": {"level": "WARNING"},
            # Without a broker a task runs in the process that calls it: its log line adds nothing.
            **({} if has_broker else {"celery": {"level": "WARNING"}}),
            # One line for each request would fill a disk while a server is away.
            **{name: {"filters": ["outages"]} for name in ONE_A_MINUTE},
        },
    }
