"""Counts failures in this process by name, and logs each name once a minute, not each time.

    report(logger, "cache_read_failed", "The cache failed to read: %s", "TimeoutError")
    report(logger, "attribute_dropped:plan", …)         a kind, and what it is about
    counts()        {"cache_read_failed": 1, "attribute_dropped:plan": 1}

What a kind is about may come from outside (the names of attributes that a caller passes): each kind
has at most MOST_NAMES names, and one more, `kind:other`, for all the rest.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping

from featureflags.core.fork_hooks import in_child

LOG_EVERY_SECONDS = 60.0
MOST_NAMES = 50
"""Of one kind. Each is a counter here and a label of a metric."""
OTHER = "other"

_lock = threading.Lock()
_counts: Counter[str] = Counter()
_names: Counter[str] = Counter()
"""How many names each kind has had."""
_logged: dict[str, float] = {}


def report(logger: logging.Logger, name: str, message: str, *args: object) -> None:
    """Count `name`; log the message as a warning unless that was done within the last minute.

    `name` is a kind, or `kind:subject`. The message must hold no e-mail, token or private attribute.
    """
    now = time.monotonic()
    with _lock:
        if name not in _counts:
            name = _bounded(name)
        _counts[name] += 1
        due = now - _logged.get(name, -LOG_EVERY_SECONDS) >= LOG_EVERY_SECONDS
        if due:
            _logged[name] = now
    if due:
        logger.warning(message, *args)


def count(name: str, times: int = 1) -> None:
    """Count something that is not a failure; `name` as for `report`."""
    with _lock:
        if name not in _counts:
            name = _bounded(name)
        _counts[name] += times


def _bounded(name: str) -> str:
    """A new name, or its kind's `other` if the kind has as many as it may. Holds the lock."""
    kind, colon, _subject = name.partition(":")
    if colon:
        _names[kind] += 1
        if _names[kind] > MOST_NAMES:
            return f"{kind}:{OTHER}"
    return name


def counts() -> Mapping[str, int]:
    """How often each thing happened since the process started."""
    with _lock:
        return dict(_counts)


def forget() -> None:
    """Start again from nothing; for tests."""
    with _lock:
        _counts.clear()
        _names.clear()
        _logged.clear()


def _replace_lock_after_fork() -> None:
    global _lock  # noqa: PLW0603 - a thread that no longer exists may hold the parent's
    _lock = threading.Lock()


in_child(_replace_lock_after_fork)
