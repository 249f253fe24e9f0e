"""The log: one line for each thing that happened, and not one for each request while a server is away."""

from __future__ import annotations

import sys
from typing import Any

import structlog

from config.request_log import add_origin, hide_private
from config.settings.environment import env


def logging(*, has_broker: bool, default_format: str = "console") -> dict[str, Any]:
    """Django's setting LOGGING. `LOG_LEVEL` is the level of the root; `LOG_FORMAT` is `json` or
    `console`."""
    chosen = env.str("LOG_FORMAT", default=default_format)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [
                    structlog.stdlib.add_logger_name,
                    structlog.stdlib.add_log_level,
                    structlog.processors.TimeStamper(fmt="iso", utc=True),
                    add_origin,
                ],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    hide_private,
                    _renderer(chosen),
                ],
            },
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
            "django.request": {"filters": ["outages"]},
            "featureflags.api.exceptions": {"filters": ["outages"]},
            "users.middleware": {"filters": ["outages"]},
        },
    }


def _renderer(chosen: str) -> Any:
    if chosen == "json":
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
