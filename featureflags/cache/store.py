"""Snapshots by user key, and the ruleset version, in the cache that Django is configured with.

What keeps them true:

* A write does not delete an entry, it puts a marker in its place for `marker_seconds`, before the
  transaction commits and again after it. While the marker stands, readers go to the database.
* A fill only adds. It never overwrites a marker, and it is given up when the read that it comes
  from began longer ago than half a marker's life: its row may be older than the marker was.
* A fill waits for the commit of the transaction it was read in: what is rolled back never lands.

So nobody who read a row before it changed can put the old snapshot back afterwards. An entry past
its 24 hours counts as a miss; it stays for 7 days as a spare for when the database is down.

Every failure of the cache is survived, counted and logged once a minute.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, cast

import msgspec
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.db import transaction

from featureflags.conf import app_settings
from featureflags.monitoring import report
from users.snapshots import SNAPSHOT_VERSION, UserSnapshot

logger = logging.getLogger(__name__)

VERSION_KEY = "ruleset-version"
VERSION_SECONDS = 60
"""The version is one small query: a short life bounds what a lost marker can do."""
MARKER = b"~"
PAUSE_SECONDS = 1.0
"""After a failure nobody reads the cache for this long: a hanging server costs its time-out once."""


class Replacing(Protocol):
    """A cache backend with an atomic replace: ours for files and for Redis."""

    def replace(self, key: str, old: bytes, new: bytes, timeout: float) -> bool: ...

    def add_many(self, values: Mapping[str, bytes], timeout: float) -> int: ...

    def replace_many(self, values: Mapping[str, tuple[bytes, bytes]], timeout: float) -> int: ...


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What is stored for a user: until when it may be used as it is (epoch seconds), and what."""

    fresh_until: int
    snapshot: UserSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRead:
    """What the cache knew at one moment."""

    began: float
    """On the monotonic clock, in seconds, before anything was read."""
    failed: bool = False
    version: str | None = None
    fresh: Mapping[str, UserSnapshot] = field(default_factory=dict)
    spare: Mapping[str, UserSnapshot] = field(default_factory=dict)
    stored: Mapping[str, bytes] = field(default_factory=dict)
    """The bytes of what was found: a fill replaces those, and only those."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode
_paused_until = 0.0


def snapshot_key(user_key: str) -> str:
    """Where a user's snapshot lies. The version lets two releases run side by side."""
    return f"snapshot:{SNAPSHOT_VERSION}:{user_key}"


def read(user_keys: Collection[str]) -> CacheRead:
    """The ruleset version and the snapshots of these users, in one round trip."""
    began = time.monotonic()
    if began < _paused_until:
        return CacheRead(began=began, failed=True)
    names = {snapshot_key(key): key for key in user_keys}
    try:
        found = _cache().get_many([VERSION_KEY, *names])
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        _failed("read", error)
        return CacheRead(began=began, failed=True)
    version = found.pop(VERSION_KEY, None)
    fresh: dict[str, UserSnapshot] = {}
    spare: dict[str, UserSnapshot] = {}
    stored: dict[str, bytes] = {}
    now = time.time()
    for name, value in found.items():
        entry = _entry(value)
        if entry is None:
            continue
        if now < entry.fresh_until:
            fresh[names[name]] = entry.snapshot
        else:
            spare[names[name]] = entry.snapshot
        stored[names[name]] = value
    known = version.decode() if isinstance(version, bytes) and version != MARKER else None
    return CacheRead(began=began, version=known, fresh=fresh, spare=spare, stored=stored)


def fill(source: CacheRead, snapshots: Iterable[UserSnapshot]) -> None:
    """Keep snapshots that were read from the database after `source`, once that has committed."""
    found = list(snapshots)
    if found and not source.failed:
        transaction.on_commit(partial(_fill, source, found), robust=True)


def renew(source: CacheRead, snapshots: Collection[UserSnapshot]) -> int | None:
    """As `fill`, for snapshots that may be in the cache already: those begin their time anew.

    Not for use within a transaction: what it read may be rolled back. Returns how many were
    written (an entry that changed since `source` stays as it is), or None if the cache failed or
    the batch took so long that the rows may be old.
    """
    if source.failed:
        return None
    return _fill(source, list(snapshots)) if snapshots else 0


def fill_version(source: CacheRead, version: str) -> None:
    """Keep the ruleset version that was read from the database after `source`."""
    if not source.failed:
        transaction.on_commit(partial(_fill_version, source, version), robust=True)


def drop(user_keys: Iterable[str]) -> bool:
    """Put markers in the place of these users' snapshots; say whether the cache took them."""
    return _mark([snapshot_key(key) for key in user_keys])


def drop_version() -> bool:
    """Put a marker in the place of the ruleset version."""
    return _mark([VERSION_KEY])


def rewrite_last_seen(user_keys: Collection[str], last_seen_at: int) -> None:
    """Set `last_seen_at` (µs) within the entries that stand; leave markers and misses alone."""
    cache = _cache()
    names = [snapshot_key(key) for key in user_keys]
    try:
        for name, value in cache.get_many(names).items():
            entry = _entry(value)
            if entry is None:
                continue
            snapshot = msgspec.structs.replace(entry.snapshot, last_seen_at=last_seen_at)
            changed = _encode(Entry(entry.fresh_until, snapshot))
            if not _replace(cache, name, value, changed, entry.fresh_until):
                # Somebody wrote it meanwhile, or this backend cannot replace: read it anew.
                cache.set(name, MARKER, app_settings().marker_seconds)
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        _failed("rewrite", error)


def _fill(source: CacheRead, snapshots: list[UserSnapshot]) -> int | None:
    """Add what was missing, replace what was found; how many were written, None if it failed."""
    if _too_old(source):
        return None
    cache = _cache()
    fresh_until = int(time.time()) + app_settings().snapshot_seconds
    timeout = _kept_seconds(cache, fresh_until)
    missing: dict[str, bytes] = {}
    known: dict[str, tuple[bytes, bytes]] = {}
    for snapshot in snapshots:
        name = snapshot_key(snapshot.key)
        value = _encode(Entry(fresh_until, snapshot))
        before = source.stored.get(snapshot.key)
        if before is None:
            missing[name] = value
        else:
            known[name] = (before, value)
    try:
        if not _can_replace(cache):
            return sum(cache.add(name, value, timeout) for name, value in missing.items())
        ours = cast("Replacing", cache)
        return ours.add_many(missing, timeout) + ours.replace_many(known, timeout)
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        _failed("fill", error)
        return None


def _fill_version(source: CacheRead, version: str) -> None:
    if _too_old(source):
        return
    try:
        _cache().add(VERSION_KEY, version.encode(), VERSION_SECONDS)
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        _failed("fill", error)


def _mark(names: list[str]) -> bool:
    if not names:
        return True
    try:
        _cache().set_many(dict.fromkeys(names, MARKER), app_settings().marker_seconds)
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        _failed("drop", error)
        return False
    return True


def _replace(cache: BaseCache, name: str, old: bytes, new: bytes, fresh_until: int) -> bool:
    if not _can_replace(cache):
        return False
    timeout = _kept_seconds(cache, fresh_until)
    return cast("Replacing", cache).replace(name, old, new, timeout)


def _kept_seconds(cache: BaseCache, fresh_until: int) -> float:
    """How long an entry stays: its spare time only where a fill can replace it atomically."""
    spare = app_settings().spare_seconds if _can_replace(cache) else 0
    return max(1.0, fresh_until - time.time() + spare)


def _can_replace(cache: BaseCache) -> bool:
    return hasattr(cache, "replace")


def _too_old(source: CacheRead) -> bool:
    return time.monotonic() - source.began > app_settings().marker_seconds / 2


def _entry(value: object) -> Entry | None:
    """A stored entry; None for a marker and for what another release may have written."""
    if not isinstance(value, bytes) or value == MARKER:
        return None
    try:
        return _decode(value)
    except msgspec.DecodeError as error:
        report(logger, "cache_undecodable", "An entry of the cache is not ours: %s", error)
        return None


def _failed(what: str, error: Exception) -> None:
    global _paused_until  # noqa: PLW0603 - one float for the process; a race only pauses longer
    _paused_until = time.monotonic() + PAUSE_SECONDS
    name = type(error).__name__
    report(logger, f"cache_{what}_failed", "The cache failed to %s: %s", what, name)


def _cache() -> BaseCache:
    return caches[app_settings().cache]


def resume() -> None:
    """End the pause after a failure at once; for tests."""
    global _paused_until  # noqa: PLW0603 - the one place that holds it
    _paused_until = 0.0
