"""Wait for something that another process or thread does. Touches nothing but the clock.

Every wait polls and has an end. No test sleeps for a while and then expects a result.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 0.01
"""Pause between two looks: short enough not to slow a run, long enough not to eat a core."""

PATIENCE_SECONDS = 120.0
"""How long to wait for what always comes. Only a test that fails waits so long: a machine whose
processors and disks are busy may take a hundred times as long as an idle one."""

Found = TypeVar("Found")


def wait_until(
    condition: Callable[[], Found],
    *,
    what: str,
    timeout: float = PATIENCE_SECONDS,
    pause: float = POLL_SECONDS,
) -> Found:
    """Call `condition` until it returns something truthy, and return that.

    `timeout` is in seconds, and so is `pause`: longer where a look is work for another process. Raises `TimeoutError` with the text `what`. Errors of `condition`
    pass through.
    """
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() >= deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}")
        time.sleep(pause)
