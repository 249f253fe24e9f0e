"""The shared cache, read and written by name: the steps that touch Redis or the files, and no rows.

    read = get(keys)                     the version and what is stored for these keys
    read = lease(read)                   a lease where nothing was stored
    remove(names, delivered)             after a write
    take_delivered()                     which outbox rows this cache needs no more
    lease_version(), publish(…)          the version, renewed from the database

`featureflags.cache.protocol` puts them in order. A failure of the cache is survived, counted and logged
once a minute; then reads pause for a second, so that a server that hangs costs its time-out once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, Final, cast

import msgspec
from django.core.cache import caches
from django.core.signals import setting_changed

from featureflags.cache import sealing
from featureflags.cache.backends.protocol import SharedCache
from featureflags.cache.entries import (
    LEASE,
    VERSION_NAME,
    Entry,
    decode_version,
    decoder_of,
    encode_version,
    name_of,
    new_lease,
)
from featureflags.core.conf import app_settings
from featureflags.core.monitoring import report
from featureflags.kinds.registry import kind_named, user_kind
from featureflags.kinds.snapshot import Address, Snapshot

logger = logging.getLogger(__name__)

VERSION_SECONDS: Final = 4.0
"""The version expires so long after its *lease*, which is taken before the database is read: within
five seconds a process reads what the cache has missed."""
LEASE_SECONDS: Final = 60.0
"""How long a reader may take from its lease to its fill. A lease that expires costs a miss only."""
PAUSE_SECONDS: Final = 1.0
"""After a failure nobody reads the cache for so long."""


class CacheRead(msgspec.Struct, kw_only=True):
    """What the cache held at one moment. Entries are decoded when they are asked for."""

    keys: Collection[Address] = ()
    began: float
    """On the monotonic clock, in seconds, before anything was read."""
    stored: Mapping[Address, bytes] = {}
    """By key: the bytes (an entry or a lease) that a fill may replace."""
    version: str | None = None
    """The version of the rules in force; None: unknown."""
    epoch: int | None = None
    failed: bool = False
    """The cache cannot be used now: nothing is fresh, and nothing may be filled."""
    database_failed: bool = False
    """The database was asked for the version and failed: do not ask it again at once."""
    is_own: bool = False
    """The transaction at hand has written: what it sees is not committed."""
    fresh: Mapping[Address, Any] = {}
    """The snapshots that may be used, by key; set by `decoded`."""
    spare: Mapping[Address, Any] = {}
    """Snapshots past their time or of another epoch: for when the database is down."""


def decoded(read: CacheRead) -> CacheRead:
    """The same read, with `fresh` and `spare`."""
    fresh: dict[Address, Snapshot] = {}
    spare: dict[Address, Snapshot] = {}
    now = time.time_ns() // 1000
    epoch = None if read.failed else read.epoch
    for key, stored in read.stored.items():
        if not stored.startswith(LEASE) and (entry := entry_of(key, stored)) is not None:
            is_fresh = entry.epoch == epoch and now < entry.fresh_until
            (fresh if is_fresh else spare)[key] = entry.snapshot
    read.fresh, read.spare = fresh, spare
    return read


_paused_until = 0.0
NOTHING: Final = (None, None)
_versions: dict[bytes | None, tuple[str, int]] = {}
"""The version that was decoded last: it is the same nearly always."""


def get(keys: Collection[Address]) -> CacheRead:
    """The version and what is stored for these keys, decoded: one round trip."""
    began = time.monotonic()
    if began < _paused_until or (cache := backend()) is None:
        return CacheRead(keys=keys, began=began, failed=True)
    try:
        version, *values = cache.read(
            [VERSION_NAME, *["u:" + row if type(row) is str else name_of(row) for row in keys]]
        )
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        report_failure("read", error)
        return CacheRead(keys=keys, began=began, failed=True)
    return decoded(as_read(keys, began, version, values))


def as_read(
    keys: Collection[Address], began: float, version: bytes | None, values: Sequence[bytes | None]
) -> CacheRead:
    """What a backend has answered; `decoded` is for the caller."""
    stored = {key: value for key, value in zip(keys, values, strict=True) if value is not None}
    known, epoch = _versions.get(version, NOTHING)
    if known is None and (published := decode_version(version)) is not None:
        _versions.clear()
        known, epoch = _versions[version] = published
    return CacheRead(keys=keys, began=began, stored=stored, version=known, epoch=epoch)


def lease(read: CacheRead) -> CacheRead:
    """The same, with a lease for each key that had nothing; `read` if there was none."""
    missing = [key for key in read.keys if key not in read.stored]
    if not missing or read.failed or (cache := backend()) is None:
        return read
    names = [name_of(key) for key in missing]
    try:
        found = cache.send_read((), names, new_lease(), LEASE_SECONDS).result()
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        report_failure("lease", error)
        return read
    leased = {key: value for key, value in zip(missing, found, strict=True) if value is not None}
    return msgspec.structs.replace(read, stored={**read.stored, **leased})


def remove(names: Collection[str], delivered: Collection[int] = ()) -> int | None:
    """Remove these names, and then keep the ids of the outbox rows that say so: `delivered`.

    How many ids are kept, if any were given. None: it failed.
    """
    cache = backend()
    if cache is None:
        return None
    try:
        return cache.remove(names, delivered)
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        report_failure("remove", error)
        return None


def take_delivered() -> tuple[list[int], str] | None:
    """The ids of outbox rows that `remove` has kept, which are gone then, and the cache's identity.

    None: it failed.
    """
    cache = backend()
    if cache is None:
        return None
    try:
        return cache.take_delivered()
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        report_failure("take_delivered", error)
        return None


def remove_version() -> bool:
    """Make each later read ask the database which version is in force; whether it was removed."""
    return remove([VERSION_NAME]) is not None


def lease_version() -> tuple[bytes, str] | None:
    """What is stored as the version (a lease of ours if nothing was), and the cache's identity.

    None: the cache failed.
    """
    if time.monotonic() < _paused_until or (cache := backend()) is None:
        return None
    try:
        return cache.lease_and_identify(VERSION_NAME, new_lease(), VERSION_SECONDS)
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        report_failure("lease", error)
        return None


def publish(seen: bytes, version: str, epoch: int) -> None:
    """Store a version that was read after the lease `seen`, for what is left of the lease."""
    cache = backend()
    if cache is None:
        return
    try:
        cache.publish(VERSION_NAME, seen, encode_version(version, epoch))
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        report_failure("publish", error)


def with_state(read: CacheRead, **changes: Any) -> CacheRead:
    """The same read, decoded, with what else is known now."""
    return decoded(msgspec.structs.replace(read, **changes))


def is_paused() -> bool:
    """Whether a failure is so fresh that the cache is not to be read."""
    return time.monotonic() < _paused_until


def resume() -> None:
    """End the pause after a failure at once; for tests."""
    global _paused_until  # noqa: PLW0603 - the one place that holds it
    _paused_until = 0.0


def report_failure(what: str, error: Exception) -> None:
    """Count and log a failure of the cache, and pause reads."""
    global _paused_until  # noqa: PLW0603 - one float for the process; a race only pauses longer
    _paused_until = time.monotonic() + PAUSE_SECONDS
    report(logger, f"cache_{what}_failed", f"The cache failed to {what}: %s", type(error).__name__)


def backend() -> SharedCache | None:
    """The cache of the setting `cache`; None if its backend cannot keep our promises."""
    found: SharedCache | None = _of_this_thread.__dict__.get("backend")
    if found is None:
        # Django looks a cache up in 2 µs, and in 10 where a write has just emptied the processor's own.
        found = _of_this_thread.backend = _backend()
    return found


def _backend() -> SharedCache | None:
    cache = caches[app_settings().cache]
    if not sealing.HAS_CRYPTOGRAPHY and sealing.cannot_seal():
        return None
    if hasattr(cache, "send_swap"):
        return cast("SharedCache", cache)
    message = "%s has no compare-and-swap: no snapshots are cached. See FEATUREFLAGS['CACHE']."
    report(logger, "cache_unsupported", message, type(cache).__name__)
    return None


_of_this_thread = threading.local()


def _look_up_again(*, setting: str, **_: object) -> None:
    global _of_this_thread  # noqa: PLW0603 - replaced as a whole, for all threads
    if setting in {"FEATUREFLAGS", "CACHES"}:
        _of_this_thread = threading.local()


setting_changed.connect(_look_up_again, dispatch_uid="featureflags.cache.snapshot_store")


def entry_of(row: Address, stored: bytes) -> Entry | None:
    """The stored entry of a row; None for another declaration of the kind, and for other bytes."""
    kind = user_kind() if type(row) is str else kind_named(row[0])
    plain = sealing.unseal(name_of(row), stored) if sealing.ciphers() else stored
    if plain is None or kind is None:
        return None
    try:
        entry: Entry = decoder_of(cast("Hashable", kind.snapshot_type)).decode(plain)
    except msgspec.DecodeError as error:
        report(logger, "cache_undecodable", "An entry of the cache is not ours: %s", error)
        return None
    if entry.snapshot.key != kind.fingerprint:
        return None
    # The struct is frozen for its readers; nobody has it yet.
    msgspec.structs.force_setattr(entry.snapshot, "key", row if type(row) is str else row[1])
    return entry
