"""Reads of the cache that are awaited: sent on the event loop, with no thread.

The loop's own connection is made in a thread and handed over, so that the loop waits for nothing but
the reply. While one task waits for a slow reply on it, the others go to a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from featureflags.cache.pending_reads import begin_get
from featureflags.cache.snapshot_store import (
    CacheRead,
    backend,
    decoded,
    is_paused,
    report_failure,
)
from featureflags.capture.own_writes import is_writing, unsettled
from featureflags.kinds.snapshot import Address

SECONDS = 0.5
"""How long a reply is awaited. Then the cache counts as failed, as after a time-out of a socket."""


async def aget(keys: Collection[Address]) -> CacheRead | None:
    """As `get`; None where a thread is needed: no connection is free, or no answer came in time."""
    cache = backend()
    if cache is None or is_paused() or not cache.has_connection() or (unsettled and is_writing()):
        return None
    pending = begin_get(keys)
    try:
        if pending.is_ready() or await pending.ready(SECONDS):
            return decoded(pending.result())
        return None
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
