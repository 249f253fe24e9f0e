"""One query at a time in this process: the keys that are wanted meanwhile are read together.

After a new epoch every user is cold at once. Without this each thread of each process would send a query
of its own; with it a process has one under way, and the next one is for everybody who has come since.
Alone, a read waits for nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from featureflags.core.fork_hooks import in_child

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")

WAIT_SECONDS = 5.0
"""A thread that waits longer than this reads alone."""
MOST_KEYS: Final = 500
"""Of one query. It takes some milliseconds, for which the next ones wait."""


@dataclass(slots=True, eq=False)
class _Wanted(Generic[KeyT, ValueT]):
    key: KeyT
    found: tuple[ValueT | None] | None = None
    """None: not read yet."""


class GatheredReads(Generic[KeyT, ValueT]):
    """Reads by key, of values that other threads may share.

    `read` is given keys and returns the values of those that exist, and whether they may be shared: if
    not, they are for the caller alone. It begins after each of its keys was asked for. An error is for
    its own caller alone.
    """

    def __init__(self, read: Callable[[list[KeyT]], tuple[Mapping[KeyT, ValueT], bool]]) -> None:
        self._read = read
        self._forget()
        in_child(self._forget)

    def read(self, key: KeyT) -> tuple[ValueT | None, bool]:
        """The value of this key, None if there is none; and whether it may be shared."""
        wanted: _Wanted[KeyT, ValueT] = _Wanted(key)
        self._waiting.append(wanted)
        is_our_turn = self._turn.acquire(timeout=WAIT_SECONDS)
        try:
            if wanted.found is not None:
                return wanted.found[0], True
            others = self._others(wanted) if is_our_turn else []
            values, may_share = self._read([key, *{each.key for each in others} - {key}])
            if may_share:
                for each in others:
                    each.found = (values.get(each.key),)
            return values.get(key), may_share
        finally:
            self._waiting.remove(wanted)
            if is_our_turn:
                self._turn.release()

    def _others(self, wanted: _Wanted[KeyT, ValueT]) -> list[_Wanted[KeyT, ValueT]]:
        """Who waits now and has nothing yet."""
        # A copy: others come and go. Lists change under the interpreter's own lock.
        waiting = (each for each in list(self._waiting) if each.found is None)
        return [each for each in waiting if each is not wanted][: MOST_KEYS - 1]

    def _forget(self) -> None:
        """In a forked child: threads that do not exist there may hold the lock."""
        self._turn = threading.Lock()
        self._waiting: list[_Wanted[KeyT, ValueT]] = []
