"""The store's reading and filling for whoever has something else to do meanwhile.

Redis is told at once and answers while the rows of other users are read; `result` waits for what
is left of it. A backend that cannot be told ahead (files) does it at once. No thread is used: one
would wait for Python's lock longer than for Redis.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Generator, Mapping
from typing import Generic, Protocol, TypeVar, cast

from django.core.cache.backends.base import BaseCache

from featureflags.cache import store
from featureflags.cache.entries import snapshot_key
from featureflags.cache.store import CacheRead

Found = TypeVar("Found")
Answer_co = TypeVar("Answer_co", covariant=True)
Steps = Generator[None, None, Found]


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


class Ahead(Generic[Found]):
    """Something that was begun, and is ended by `result`, once, or given up by `close`."""

    def __init__(self, steps: Steps[Found]) -> None:
        self._steps = steps
        self._found: list[Found] = []
        self._go_on()

    def result(self) -> Found:
        if not self._found:
            self._go_on()
        return self._found[0]

    def close(self) -> None:
        self._steps.close()

    def _go_on(self) -> None:
        try:
            next(self._steps)
        except StopIteration as ended:
            self._found.append(ended.value)


def begin_read(user_keys: Collection[str]) -> Ahead[CacheRead]:
    """As `store.read`: what the cache holds when it is told, not when it is asked for the result."""
    return Ahead(_read(user_keys))


def begin_write(
    source: CacheRead, entries: Mapping[str, bytes], fresh_until: int
) -> Ahead[int | None]:
    """Keep encoded entries, by user key, that were read from the database after `source`.

    The result is how many were written (what changed since `source` stays as it is), or None if
    the cache failed or `source` is so old that the rows may be. Not for use within a transaction:
    what it read may be rolled back.
    """
    return Ahead(_write(source, entries, fresh_until))


def _read(user_keys: Collection[str]) -> Steps[CacheRead]:
    cache = store.backend()
    if not _can_send(cache):
        return store.read(user_keys)
    began = time.monotonic()
    if store.is_paused(began):
        return CacheRead(began=began, failed=True)
    try:
        names = [store.VERSION_KEY, *map(snapshot_key, user_keys)]
        found = yield from _sent(cast("Sending", cache).send_reads(names))
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        store.report_failure("read", error)
        return CacheRead(began=began, failed=True)
    return store.as_read(began, user_keys, found)


def _write(source: CacheRead, entries: Mapping[str, bytes], fresh_until: int) -> Steps[int | None]:
    if source.failed:
        return None
    cache = store.backend()
    if not entries or not _can_send(cache):
        return store.write(source, entries, fresh_until) if entries else 0
    if store.is_too_old(source):
        return None
    missing, known = store.missing_and_known(source, entries)
    timeout = store.kept_seconds(cache, fresh_until)
    try:
        return (yield from _sent(cast("Sending", cache).send_writes(missing, known, timeout)))
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        store.report_failure("fill", error)
        return None


def _sent(sent: Sent[Found]) -> Steps[Found]:
    try:
        yield
        return sent.result()
    finally:
        sent.close()


def _can_send(cache: BaseCache) -> bool:
    return hasattr(cache, "send_reads")
