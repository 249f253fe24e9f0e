"""One read at a time for each key: a stampede on one cold user costs one query, not a hundred.

Whoever comes while a read is under way may not share it: it may have begun before a write that the
newcomer has to see. So the newcomers wait, the first of them reads anew (and finds in the cache
what the read before has left there), and the others share that read, which began after they came.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

ValueT = TypeVar("ValueT")

WAIT_SECONDS = 5.0
"""Whoever waits longer than this reads alone."""


@dataclass(slots=True)
class _Turn(Generic[ValueT]):
    """The reads of one key. `started` counts them, `last` is the newest that has ended."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: int = 0
    started: int = 0
    last: tuple[int, ValueT] | None = None


class Turns(Generic[ValueT]):
    """Reads by key, in this process. What a read raises is raised for its own caller alone."""

    def __init__(self) -> None:
        self._turns: dict[str, _Turn[ValueT]] = {}
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._forget)

    def read(self, key: str, read: Callable[[], ValueT]) -> ValueT:
        """What `read` returns, or what it returned for another thread that began after this call."""
        with self._lock:
            turn = self._turns.setdefault(key, _Turn())
            turn.waiting += 1
            seen = turn.started
        acquired = turn.lock.acquire(timeout=WAIT_SECONDS)
        try:
            if acquired and turn.last is not None and turn.last[0] > seen:
                return turn.last[1]
            turn.started += 1
            number = turn.started
            value = read()
            if acquired:
                turn.last = (number, value)
            return value
        finally:
            if acquired:
                turn.lock.release()
            self._leave(key, turn)

    def _leave(self, key: str, turn: _Turn[ValueT]) -> None:
        with self._lock:
            turn.waiting -= 1
            if not turn.waiting and self._turns.get(key) is turn:
                del self._turns[key]

    def _forget(self) -> None:
        """In a forked child: threads that no longer exist may hold these locks."""
        self._turns = {}
        self._lock = threading.Lock()
