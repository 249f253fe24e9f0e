"""Wait for something that another process or thread does. Touches nothing but the clock.

Every wait is bounded and polls: no test sleeps and hopes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 0.01
"""Pause between two looks: short enough not to slow a run, long enough not to eat a core."""

Found = TypeVar("Found")


def wait_until(condition: Callable[[], Found], *, timeout: float, what: str) -> Found:
    """Call `condition` until what it returns is truthy, and return that.

    `timeout` is in seconds. Raises `TimeoutError`, which names `what` was awaited; what
    `condition` raises passes through.
    """
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() >= deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}")
        time.sleep(POLL_SECONDS)
