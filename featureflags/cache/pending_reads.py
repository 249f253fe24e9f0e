"""Reads of the shared cache that are sent now and read later: by an event loop, or while a batch is worked on.

The loop's own connection is made in a thread and handed over, so that the loop waits for nothing but
the reply. While one task waits for a slow reply on it, the others go to a thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from featureflags.cache.backends.protocol import Reply
from featureflags.cache.entries import VERSION_NAME, name_of, new_lease
from featureflags.cache.snapshot_store import (
    LEASE_SECONDS,
    CacheRead,
    as_read,
    backend,
    decoded,
    is_paused,
    report_failure,
)
from featureflags.capture.own_writes import is_writing, unsettled
from featureflags.core.deadlines import current_budget
from featureflags.kinds.snapshot import Address


class PendingGet:
    """A read that was sent: of the moment at which it was, or later."""

    __slots__ = ("_began", "_keys", "_leases", "_reply")

    def __init__(self, keys: Collection[Address], *, leases: bool) -> None:
        self._began, self._keys, self._leases = time.monotonic(), keys, leases
        self._reply: Reply[list[bytes | None]] | None = None
        if is_paused() or (cache := backend()) is None:
            return
        names = [*map(name_of, keys)]
        try:
            if leases:
                self._reply = cache.send_read([VERSION_NAME], names, new_lease(), LEASE_SECONDS)
            else:
                self._reply = cache.send_read([VERSION_NAME, *names], (), b"", 0)
        except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
            report_failure("read", error)

    def result(self) -> CacheRead:
        """What is stored. `failed` if the cache has failed or pauses."""
        reply, self._reply = self._reply, None
        if reply is None:
            return CacheRead(keys=self._keys, began=self._began, failed=True)
        try:
            version, *values = reply.result()
        except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
            report_failure("read", error)
            return CacheRead(keys=self._keys, began=self._began, failed=True)
        return as_read(self._keys, self._began, version, values)

    def is_ready(self) -> bool:
        """Whether `result` need not wait, or hardly."""
        return self._reply is None or self._reply.is_ready()

    async def ready(self, seconds: float) -> bool:
        """Whether `result` need not wait any more, awaited for so long at most."""
        if self._reply is not None and not await self._reply.ready(seconds):
            report_failure("read", TimeoutError())
            return False
        return True

    def discard(self) -> None:
        """Discard a pending reply. Does nothing after `result`."""
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.discard()


def begin_get(keys: Collection[Address], *, leases: bool = False) -> PendingGet:
    """`get`, sent and not awaited; `decoded` is for the caller.

    With `leases`, a lease is left in the same round trip where nothing was stored.
    """
    return PendingGet(keys, leases=leases)


SECONDS = 0.5
"""How long a reply is awaited, where no request has a budget. Then the cache counts as failed, as after a
time-out of a socket."""


async def aget(keys: Collection[Address]) -> CacheRead | None:
    """As `get`; None where a thread is needed: no connection is free, or no answer came in time."""
    cache = backend()
    if cache is None or is_paused() or not cache.has_connection() or (unsettled and is_writing()):
        return None
    budget, began = current_budget(), time.monotonic()
    seconds = SECONDS if budget is None else min(SECONDS, max(0.0, budget.redis_seconds))
    pending = begin_get(keys)
    try:
        if pending.is_ready():
            return decoded(pending.result())
        try:
            is_ready = await pending.ready(seconds)
        finally:
            if budget is not None:
                budget.redis_seconds -= time.monotonic() - began
        return decoded(pending.result()) if is_ready else None
    finally:
        pending.discard()


def lacks_connection() -> bool:
    """Whether `connect` is worth its time."""
    cache = None if is_paused() else backend()
    return cache is not None and not cache.has_connection()


def connect() -> Callable[[], None]:
    """Make a connection, in a thread; what is returned keeps it for the loop that calls it."""
    cache = None if is_paused() else backend()
    try:
        return nothing if cache is None else cache.new_connection()
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        report_failure("connect", error)
        return nothing


def nothing() -> None:
    """There is no connection to keep."""
