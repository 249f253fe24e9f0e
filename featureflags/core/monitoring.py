"""Counts what went wrong in this process, and logs each kind of it once a minute, not each time."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping

from featureflags.core.fork_hooks import in_child

LOG_EVERY_SECONDS = 60.0

_lock = threading.Lock()
_counts: Counter[str] = Counter()
_logged: dict[str, float] = {}


def report(logger: logging.Logger, name: str, message: str, *args: object) -> None:
    """Count `name`; log the message as a warning unless that was done within the last minute.

    The message must hold no e-mail, token or private attribute.
    """
    now = time.monotonic()
    with _lock:
        _counts[name] += 1
        due = now - _logged.get(name, -LOG_EVERY_SECONDS) >= LOG_EVERY_SECONDS
        if due:
            _logged[name] = now
    if due:
        logger.warning(message, *args)


def counts() -> Mapping[str, int]:
    """How often each thing happened since the process started."""
    with _lock:
        return dict(_counts)


def forget() -> None:
    """Start again from nothing; for tests."""
    with _lock:
        _counts.clear()
        _logged.clear()


def _replace_lock_after_fork() -> None:
    global _lock  # noqa: PLW0603 - a thread that no longer exists may hold the parent's
    _lock = threading.Lock()


in_child(_replace_lock_after_fork)
