"""The lock of a folder of the file cache, against threads and processes, with a deadline.

A process that was stopped (SIGSTOP, a suspended container) while it held the lock keeps it for good:
without a deadline it would stop every other process with it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from featureflags.core.deadlines import current_budget

LOCK_SECONDS = 1.0
"""How long the lock is waited for outside of a request; a request has its budget for Redis. It is held for
less than a millisecond."""
FIRST_PAUSE, LONGEST_PAUSE = 0.0002, 0.01
"""Seconds between two looks at a lock that somebody holds."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the folder of `path`. Raises TimeoutError where another process keeps it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path.parent / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _is_taken(descriptor):
            _wait_for(descriptor)
        try:
            yield
        finally:
            # A process that is forked meanwhile holds the descriptor too: closing ours alone
            # would leave the lock with that process for as long as it lives.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int) -> None:
    budget, began = current_budget(), time.monotonic()
    seconds = LOCK_SECONDS if budget is None else budget.redis_seconds
    pause = FIRST_PAUSE
    try:
        while time.monotonic() - began < seconds:
            time.sleep(pause)
            if _is_taken(descriptor):
                return
            pause = min(2 * pause, LONGEST_PAUSE)
    finally:
        if budget is not None:
            budget.redis_seconds -= time.monotonic() - began
    raise TimeoutError("Another process keeps a lock of the cache.")


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
