"""The store's reading and filling for whoever has something else to do meanwhile.

Redis is told at once and answers while the rows of other users are read; `result` waits for what
is left of it. A backend that cannot be told ahead (files) does it at once. No thread is used: one
would wait for Python's lock longer than for Redis.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Protocol, TypeVar, cast

from django.core.cache.backends.base import BaseCache

from featureflags.cache import snapshot_store
from featureflags.cache.entries import snapshot_key
from featureflags.cache.snapshot_store import CacheRead

Answer_co = TypeVar("Answer_co", covariant=True)


class Sent(Protocol[Answer_co]):
    """What a backend is at."""

    def result(self) -> Answer_co: ...

    def close(self) -> None: ...


class Sending(Protocol):
    """A backend that can be told ahead: ours for Redis."""

    def send_reads(self, keys: Collection[str]) -> Sent[dict[str, bytes]]: ...

    def send_writes(
        self,
        missing: Mapping[str, bytes],
        known: Mapping[str, tuple[bytes, bytes]],
        timeout: float,
    ) -> Sent[int]: ...


class ReadAhead:
    """As `store.read`, begun: what the cache holds when it is told, not when it is asked."""

    __slots__ = ("_began", "_read", "_sent", "_user_keys")

    def __init__(self, user_keys: Collection[str]) -> None:
        self._user_keys = user_keys
        self._began = began = time.monotonic()
        self._sent: Sent[dict[str, bytes]] | None = None
        self._read: CacheRead | None = None
        cache = snapshot_store.backend()
        if not _can_send(cache):
            self._read = snapshot_store.read(user_keys)
        elif snapshot_store.is_paused(began):
            self._read = CacheRead(began=began, failed=True)
        else:
            try:
                names = [snapshot_store.VERSION_KEY, *map(snapshot_key, user_keys)]
                self._sent = cast("Sending", cache).send_reads(names)
            except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
                self._read = self._failed(error)

    def result(self) -> CacheRead:
        """What was there; the same for whoever asks again."""
        if self._read is None and self._sent is not None:
            try:
                found = self._sent.result()
                self._read = snapshot_store.as_read(self._began, self._user_keys, found)
            except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
                self._read = self._failed(error)
        return cast("CacheRead", self._read)

    def close(self) -> None:
        """Want no result any more; after `result`: nothing."""
        if self._sent is not None:
            self._sent.close()

    def _failed(self, error: Exception) -> CacheRead:
        snapshot_store.report_failure("read", error)
        return CacheRead(began=self._began, failed=True)


class WriteAhead:
    """Encoded entries, by user key, that were read from the database after `source`: on their way.

    Not for use within a transaction: what it read may be rolled back.
    """

    __slots__ = ("_sent", "_written")

    def __init__(self, source: CacheRead, entries: Mapping[str, bytes], fresh_until: int) -> None:
        self._sent: Sent[int] | None = None
        self._written: int | None = 0
        if source.failed:
            self._written = None
        elif entries:
            cache = snapshot_store.backend()
            if not _can_send(cache):
                self._written = snapshot_store.write(source, entries, fresh_until)
            elif snapshot_store.is_too_old(source):
                self._written = None
            else:
                self._send(cast("Sending", cache), source, entries, fresh_until)

    def result(self) -> int | None:
        """How many were written (what changed since `source` stays as it is). None: the cache
        failed, or `source` is so old that the rows may be."""
        sent, self._sent = self._sent, None
        if sent is not None:
            try:
                self._written = sent.result()
            except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
                self._fail(error)
        return self._written

    def close(self) -> None:
        """Want no result any more; after `result`: nothing."""
        if self._sent is not None:
            self._sent.close()

    def _send(
        self, cache: Sending, source: CacheRead, entries: Mapping[str, bytes], fresh_until: int
    ) -> None:
        missing, known = snapshot_store.missing_and_known(source, entries)
        timeout = snapshot_store.kept_seconds(snapshot_store.backend(), fresh_until)
        try:
            self._sent = cache.send_writes(missing, known, timeout)
        except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        snapshot_store.report_failure("fill", error)
        self._written = None


def _can_send(cache: BaseCache) -> bool:
    return hasattr(cache, "send_reads")
