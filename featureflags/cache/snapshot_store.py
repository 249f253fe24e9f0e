"""Snapshots by user key, and the ruleset version, in the cache that Django is configured with.

What keeps them true:

* A write does not delete an entry, it puts a marker in its place for `marker_seconds`: one that
  keeps everybody out before the transaction commits, one of its own after it (see `entries`).
* A fill adds where nothing was, and replaces exactly what its reader saw. It is given up when that
  read began longer ago than half a marker's life: a marker may have come and gone since.
* A fill waits for the commit of the transaction it was read in: what is rolled back never lands.
* What the cache did not take is kept in the database, and made up for (see `coherence`).

So nobody who read a row before it changed can put the old snapshot back afterwards. An entry past
its 24 hours counts as a miss; it stays for 7 days as a spare for when the database is down.

Every failure of the cache is survived, counted and logged once a minute.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from itertools import chain
from typing import Final, Protocol, cast

import msgspec
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.db import transaction

from featureflags.cache.entries import (
    OPEN,
    Entry,
    committed_marker,
    decode,
    encode,
    is_entry,
    is_replaceable,
    marked_keys,
    snapshot_key,
)
from featureflags.core.conf import app_settings
from featureflags.core.monitoring import report
from users.snapshots import UserSnapshot

logger = logging.getLogger(__name__)

VERSION_KEY: Final = "ruleset-version"
VERSION_SECONDS: Final = 4
"""The version is read from the database so often at least, and with it what the cache has missed:
within 5 seconds a cache that was cut off is told."""
PAUSE_SECONDS = 1.0
"""After a failure nobody reads the cache for this long: a hanging server costs its time-out once."""
TRIES: Final = 5
"""Other processes publish their versions at the same time."""


class Replacing(Protocol):
    """A cache backend with an atomic replace: ours for files and for Redis."""

    def read_many(self, keys: Collection[str]) -> dict[str, bytes]: ...

    def replace(self, key: str, old: bytes, new: bytes, timeout: float) -> bool: ...

    def add_many(self, values: Mapping[str, bytes], timeout: float) -> int: ...

    def replace_many(self, values: Mapping[str, tuple[bytes, bytes]], timeout: float) -> int: ...


class CacheRead:
    """What the cache knew at one moment. Entries are decoded when somebody asks for them."""

    def __init__(
        self,
        *,
        began: float,
        failed: bool = False,
        version: str | None = None,
        stored: Mapping[str, bytes] | None = None,
        database_failed: bool = False,
    ) -> None:
        self.began = began
        """On the monotonic clock, in seconds, before anything was read."""
        self.failed = failed
        self.version = version
        self.stored: Mapping[str, bytes] = {} if stored is None else stored
        """The bytes of what was found, by user key: a fill replaces those, and only those."""
        self.database_failed = database_failed
        """The database was asked for the version in vain: it need not be asked again at once."""

    def with_version(self, version: str) -> CacheRead:
        """The same, with the version that the database has given."""
        return CacheRead(began=self.began, failed=self.failed, version=version, stored=self.stored)

    def without_database(self) -> CacheRead:
        """The same, where the database did not give the version."""
        return CacheRead(
            began=self.began, failed=self.failed, stored=self.stored, database_failed=True
        )

    @property
    def fresh(self) -> Mapping[str, UserSnapshot]:
        """The snapshots that may be used, by user key."""
        return self._entries[0]

    @property
    def spare(self) -> Mapping[str, UserSnapshot]:
        """Those past their time, for when the database is down."""
        return self._entries[1]

    @cached_property
    def _entries(self) -> tuple[dict[str, UserSnapshot], dict[str, UserSnapshot]]:
        fresh: dict[str, UserSnapshot] = {}
        spare: dict[str, UserSnapshot] = {}
        now = time.time()
        for key, value in self.stored.items():
            entry = entry_of(key, value)
            if entry is not None:
                (fresh if now < entry.fresh_until else spare)[key] = entry.snapshot
        return fresh, spare


_paused_until = 0.0


def read(user_keys: Collection[str]) -> CacheRead:
    """The ruleset version and the snapshots of these users, in one round trip."""
    began = time.monotonic()
    if is_paused(began):
        return CacheRead(began=began, failed=True)
    names = [VERSION_KEY, *map(snapshot_key, user_keys)]
    try:
        cache = backend()
        found = (
            cast("Replacing", cache).read_many(names)
            if can_replace(cache)
            else cache.get_many(names)
        )
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        report_failure("read", error)
        return CacheRead(began=began, failed=True)
    return as_read(began, user_keys, found)


def as_read(began: float, user_keys: Collection[str], found: Mapping[str, bytes]) -> CacheRead:
    """What was found under the version's key and those of these users."""
    version = found.get(VERSION_KEY)
    stored = {
        key: value
        for key in user_keys
        if (value := found.get(snapshot_key(key))) is not None and is_replaceable(value)
    }
    known = version.decode() if version is not None and is_entry(version) else None
    return CacheRead(began=began, version=known, stored=stored)


def fill(source: CacheRead, snapshots: Iterable[UserSnapshot]) -> None:
    """Keep snapshots that were read from the database after `source`, once that has committed."""
    found = list(snapshots)
    if found and not source.failed:
        transaction.on_commit(lambda: _fill(source, found), robust=True)


def fresh_until_now() -> int:
    """Until when an entry that is written now may be used, in seconds since the epoch."""
    return int(time.time()) + app_settings().snapshot_seconds


def fill_version(source: CacheRead, version: str) -> None:
    """Keep the ruleset version that was read from the database after `source`."""
    if not source.failed:
        transaction.on_commit(lambda: _fill_version(source, version), robust=True)


def mark_open(user_keys: Iterable[str]) -> bool:
    """Keep everybody from filling until the write at hand has committed; whether the cache took it."""
    return _set_many(dict.fromkeys(_marked(user_keys), OPEN))


def drop(user_keys: Iterable[str]) -> bool:
    """Put markers in the place of snapshots that a committed write has made old; say whether the
    cache took them."""
    return _set_many({name: committed_marker() for name in _marked(user_keys)})


def mark_version_open() -> bool:
    """Have everybody ask the database which rules hold until the write at hand has committed."""
    return _set_many({VERSION_KEY: OPEN})


def publish_version(version: str) -> bool:
    """Keep a version that has been committed, unless the cache has a later one; whether it took it.

    A version begins with its number, which committed writes raise.
    """
    new = version.encode()
    try:
        cache = backend()
        if not can_replace(cache):
            cache.delete(VERSION_KEY)
            return True
        return any(_published(cache, new) for _ in range(TRIES))
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        report_failure("publish", error)
        return False


def rewrite_last_seen(user_keys: Collection[str], last_seen_at: int) -> bool:
    """Set `last_seen_at` (µs) within the entries that stand; whether the cache took it.

    Where a marker or nothing stands, or somebody else writes meanwhile, a marker is left.
    """
    try:
        cache = backend()
        found = cache.get_many([snapshot_key(key) for key in user_keys])
        rewritten = {
            snapshot_key(key)
            for key in user_keys
            if (before := found.get(snapshot_key(key))) is not None
            and (entry := entry_of(key, before)) is not None
            and _rewrite(cache, key, before, entry, last_seen_at)
        }
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        report_failure("rewrite", error)
        return False
    return _set_many(
        {name: committed_marker() for name in _marked(user_keys) if name not in rewritten}
    )


def entry_of(user_key: str, value: object) -> Entry | None:
    """A stored entry of a user; None for a marker and for what another release may have written."""
    if not is_entry(value):
        return None
    try:
        return decode(user_key, cast("bytes", value))
    except msgspec.DecodeError as error:
        report(logger, "cache_undecodable", "An entry of the cache is not ours: %s", error)
        return None


def resume() -> None:
    """End the pause after a failure at once; for tests."""
    global _paused_until  # noqa: PLW0603 - the one place that holds it
    _paused_until = 0.0


def _fill(source: CacheRead, snapshots: list[UserSnapshot]) -> int | None:
    fresh_until = fresh_until_now()
    entries = {each.key: encode(fresh_until, each) for each in snapshots}
    return write(source, entries, fresh_until)


def write(source: CacheRead, entries: Mapping[str, bytes], fresh_until: int) -> int | None:
    """Add what was missing, replace what was found; how many were written, None if it failed."""
    if is_too_old(source):
        return None
    cache = backend()
    timeout = kept_seconds(cache, fresh_until)
    missing, known = missing_and_known(source, entries)
    try:
        if not can_replace(cache):
            return sum(cache.add(name, value, timeout) for name, value in missing.items())
        ours = cast("Replacing", cache)
        return ours.add_many(missing, timeout) + ours.replace_many(known, timeout)
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        report_failure("fill", error)
        return None


def missing_and_known(
    source: CacheRead, entries: Mapping[str, bytes]
) -> tuple[dict[str, bytes], dict[str, tuple[bytes, bytes]]]:
    """What is to be added, and what is to take the place of what `source` has seen, by name."""
    missing: dict[str, bytes] = {}
    known: dict[str, tuple[bytes, bytes]] = {}
    for key, value in entries.items():
        before = source.stored.get(key)
        if before is None:
            missing[snapshot_key(key)] = value
        else:
            known[snapshot_key(key)] = (before, value)
    return missing, known


def _fill_version(source: CacheRead, version: str) -> None:
    # The version is published again after each write, so that a marker's life says nothing here.
    if time.monotonic() - source.began > VERSION_SECONDS / 2:
        return
    try:
        backend().add(VERSION_KEY, version.encode(), VERSION_SECONDS)
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        report_failure("fill", error)


def _published(cache: BaseCache, new: bytes) -> bool:
    """Whether `new`, or a later version, stands in the cache now."""
    stands = cache.get(VERSION_KEY)
    if stands is None:
        return bool(cache.add(VERSION_KEY, new, VERSION_SECONDS))
    if is_entry(stands) and _number(stands) >= _number(new):
        return True
    return cast("Replacing", cache).replace(VERSION_KEY, stands, new, VERSION_SECONDS)


def _number(version: bytes) -> int:
    return int(version.partition(b"-")[0])


def _set_many(values: dict[str, bytes]) -> bool:
    if not values:
        return True
    try:
        return not backend().set_many(values, app_settings().marker_seconds)
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        report_failure("drop", error)
        return False


def _rewrite(cache: BaseCache, key: str, before: bytes, entry: Entry, last_seen_at: int) -> bool:
    if not can_replace(cache):
        return False
    seen = msgspec.structs.replace(entry.snapshot, last_seen_at=last_seen_at)
    after = encode(entry.fresh_until, seen)
    timeout = kept_seconds(cache, entry.fresh_until)
    return cast("Replacing", cache).replace(snapshot_key(key), before, after, timeout)


def _marked(user_keys: Iterable[str]) -> Iterable[str]:
    return chain.from_iterable(map(marked_keys, user_keys))


def kept_seconds(cache: BaseCache, fresh_until: int) -> float:
    """How long an entry stays: its spare time only where a fill can replace it atomically."""
    spare = app_settings().spare_seconds if can_replace(cache) else 0
    return max(1.0, fresh_until - time.time() + spare)


def can_replace(cache: BaseCache) -> bool:
    return hasattr(cache, "replace")


def is_too_old(source: CacheRead) -> bool:
    return time.monotonic() - source.began > app_settings().marker_seconds / 2


def is_paused(now: float) -> bool:
    """Whether a failure is so fresh that the cache is not to be read."""
    return now < _paused_until


def report_failure(what: str, error: Exception) -> None:
    global _paused_until  # noqa: PLW0603 - one float for the process; a race only pauses longer
    _paused_until = time.monotonic() + PAUSE_SECONDS
    name = type(error).__name__
    report(logger, f"cache_{what}_failed", "The cache failed to %s: %s", what, name)


def backend() -> BaseCache:
    return caches[app_settings().cache]
