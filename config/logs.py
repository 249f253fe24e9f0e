"""The log while a server is away: each kind of line at most once a minute."""

from __future__ import annotations

import logging
import threading
import time

EVERY_SECONDS = 60.0
MOST_KINDS = 1_000
REQUESTS = "django.request"
UNAVAILABLE = 503


class OncePerMinute(logging.Filter):
    """Passes a line unless the same logger has written one of its kind within a minute.

    A line's kind is its text before the values are put in. Of `django.request`, which has one text
    for all, only those about a 503 are held back: any other failure has a line of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        if record.name == REQUESTS and getattr(record, "status_code", None) != UNAVAILABLE:
            return True
        kind, now = (record.name, str(record.msg)), time.monotonic()
        with self._lock:
            if now - self._passed.get(kind, -EVERY_SECONDS) < EVERY_SECONDS:
                return False
            if len(self._passed) >= MOST_KINDS:
                self._passed.clear()
            self._passed[kind] = now
        return True
