"""Single flight: one read at a time for each key. A stampede on one cold user costs one query.

A newcomer may not share a read that is under way: it may have begun before a write that the newcomer
must see. So newcomers wait, the first of them reads anew (and finds in the cache what the read before
it has stored), and the others share that read, which began after they came.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from featureflags.core.fork_hooks import in_child

ValueT = TypeVar("ValueT")

WAIT_SECONDS = 5.0
"""A thread that waits longer than this reads alone."""


@dataclass(slots=True)
class _Flight(Generic[ValueT]):
    """The reads of one key. `started` counts them, `last` is the newest that has ended."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: int = 0
    started: int = 0
    last: tuple[int, ValueT] | None = None


class SingleFlight(Generic[ValueT]):
    """Reads by key, in this process. An error of a read is raised for its own caller alone.

    `may_share` says whether a value may be given to the threads that wait.
    """

    def __init__(self, may_share: Callable[[ValueT], bool] = lambda _value: True) -> None:
        self._may_share = may_share
        self._flights: dict[Hashable, _Flight[ValueT]] = {}
        self._lock = threading.Lock()
        self._ended_at = float("-inf")
        """When the last read of any key ended, on the monotonic clock."""
        in_child(self._forget)

    def fly(self, key: Hashable, read: Callable[[bool], ValueT], since: float = 0.0) -> ValueT:
        """What `read` returns, or what it returned for another thread that began after this call.

        `read` is given whether another read may have ended since the moment `since` of the monotonic
        clock: then its result is in the cache.
        """
        with self._lock:
            flight = self._flights.setdefault(key, _Flight())
            flight.waiting += 1
            is_late = flight.waiting > 1 or self._ended_at >= since
            seen = flight.started
        acquired = flight.lock.acquire(timeout=WAIT_SECONDS)
        try:
            if acquired and flight.last is not None and flight.last[0] > seen:
                return flight.last[1]
            flight.started += 1
            number = flight.started
            value = read(is_late)
            if acquired and self._may_share(value):
                flight.last = (number, value)
            return value
        finally:
            if acquired:
                flight.lock.release()
            self._leave(key, flight)

    def _leave(self, key: Hashable, flight: _Flight[ValueT]) -> None:
        with self._lock:
            self._ended_at = time.monotonic()
            flight.waiting -= 1
            if not flight.waiting and self._flights.get(key) is flight:
                del self._flights[key]

    def _forget(self) -> None:
        """In a forked child: threads that do not exist there may hold these locks."""
        self._flights = {}
        self._lock = threading.Lock()
