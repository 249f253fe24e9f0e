"""Fills: entries written by compare-and-swap over what a read has seen.

A fill never adds: a key that its read has not seen, or that has changed since, is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from featureflags.cache.backends.protocol import Reply
from featureflags.cache.entries import encode, name_of
from featureflags.cache.sealing import seal
from featureflags.cache.snapshot_store import CacheRead, backend, report_failure
from featureflags.core.conf import app_settings
from featureflags.kinds.snapshot import Address, Snapshot, address


class PendingPut:
    """A write that was sent."""

    __slots__ = ("_reply", "_written")

    def __init__(self, read: CacheRead, entries: Mapping[Address, bytes], fresh_until: int) -> None:
        self._reply: Reply[int] | None = None
        cache = None if read.failed else backend()
        self._written: int | None = None if cache is None else 0
        swaps = {
            name_of(key): (read.stored[key], entry)
            for key, entry in entries.items()
            if key in read.stored
        }
        if cache is None or not swaps:
            return
        try:
            self._reply = cache.send_swap(swaps, _kept_seconds(fresh_until))
        except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
            self._fail(error)

    def result(self) -> int | None:
        """How many were written: what has changed since `read` stays as it is. None: failed."""
        reply, self._reply = self._reply, None
        if reply is not None:
            try:
                self._written = reply.result()
            except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
                self._fail(error)
        return self._written

    def discard(self) -> None:
        """Discard a pending reply. Does nothing after `result`."""
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.discard()

    def _fail(self, error: Exception) -> None:
        report_failure("fill", error)
        self._written = None


def put(read: CacheRead, snapshots: Iterable[Snapshot]) -> int | None:
    """Write snapshots whose rows were read after `read`; see `PendingPut.result`."""
    if read.failed or read.epoch is None:
        return None
    fresh_until, epoch = fresh_until_now(), read.epoch
    entries: dict[Address, bytes] = {}
    for each in snapshots:
        row = address(each.kind, each.key)
        entries[row] = seal(name_of(row), encode(fresh_until, epoch, each))
    return PendingPut(read, entries, fresh_until).result()


def fresh_until_now() -> int:
    """Until when an entry that is written now may be used, in µs since the epoch."""
    return time.time_ns() // 1000 + app_settings().snapshot_seconds * 1_000_000


def _kept_seconds(fresh_until: int) -> float:
    """How long an entry stays: its spare time too, since a fill replaces it atomically."""
    left = fresh_until / 1e6 - time.time()
    return max(1.0, left + app_settings().spare_seconds)
