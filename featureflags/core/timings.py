"""How long things took in this process, until the metrics take it; and when they do. 50 ns for each.

Of more than MOST between two publications the oldest are lost: enough is left for a percentile.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

MOST: Final = 5_000
PUBLISH_SECONDS: Final = 5.0

contexts: deque[tuple[str, float]] = deque(maxlen=MOST)
"""Source of a context that was not in the memo of its unit of work, and seconds until it was made."""
compilations: deque[float] = deque(maxlen=MOST)
"""Seconds that compiling the segments that changed took."""

_publisher: list[Callable[[], None]] = []
_due_at = [0.0]


def publish_with(publisher: Callable[[], None]) -> None:
    """What publishes the counts of this process. Its module loads with the URLs, not at every start."""
    _publisher[:] = [publisher]


def publish_if_due() -> None:
    """At the end of a unit of work: publish in a thread, if the last time is PUBLISH_SECONDS ago."""
    if not _publisher:
        return
    now = time.monotonic()
    if now >= _due_at[0]:
        _due_at[0] = now + PUBLISH_SECONDS  # A race only publishes twice.
        threading.Thread(target=_publisher[0], name="metrics", daemon=True).start()
