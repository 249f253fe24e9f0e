"""The compiled segments of this process: loaded once for each version, shared by all threads.

Hidden SQL: `current_ruleset` is two or three queries when the version has changed, and one for
the version where the cache does not know it (see `featureflags.cache.protocol`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from time import perf_counter

import msgspec
from django.core.cache import caches
from django.db import DatabaseError, OperationalError

from featureflags.cache import protocol
from featureflags.cache.snapshot_store import CacheRead
from featureflags.capture.own_writes import is_writing
from featureflags.contexts.results import Degradation
from featureflags.core import timings
from featureflags.core.conf import app_settings
from featureflags.core.database import primary
from featureflags.core.fork_hooks import in_child
from featureflags.core.monitoring import report
from featureflags.core.times import to_microseconds
from featureflags.core.uncached import fresh_rows
from featureflags.kinds.registry import USER
from featureflags.models import Segment, SegmentMember
from featureflags.models.versions import RulesetVersion
from featureflags.segments.definitions import SegmentDefinition
from featureflags.segments.parsing import load_rules
from featureflags.segments.ruleset import Ruleset

logger = logging.getLogger(__name__)

SPARE_KEY = "ruleset-spare"
SPARE_SECONDS = 7 * 24 * 3600
MOST_TRIES = 5


class SegmentRow(msgspec.Struct, frozen=True, array_like=True):
    """One segment as it is stored, and as the spare in the cache holds it."""

    key: str
    version: int
    is_active: bool
    rules: object
    included: dict[str, int | None]
    """Key of a row → when it ends, in µs, or None."""
    excluded: dict[str, int | None]
    kind: str = USER
    salt: str = ""
    begins: dict[str, int] = {}
    """Key of a row → when its membership begins, in µs, where that is not at once."""


class Spare(msgspec.Struct, frozen=True, array_like=True):
    """The rules for a process that starts while the database is down."""

    version: str
    rows: list[SegmentRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedRuleset:
    """Compiled segments, their version, and why they may not be the ones in force."""

    ruleset: Ruleset
    version: str
    degraded: Degradation | None = None


NO_RULESET = LoadedRuleset(
    ruleset=Ruleset(()), version="", degraded=Degradation.SEGMENTS_UNAVAILABLE
)

_loaded: LoadedRuleset | None = None
_of_transaction: LoadedRuleset | None = None
"""Rules that a transaction has written and not committed: nobody else may use them."""
_checked_at = float("-inf")
"""When the version was last asked for, on the monotonic clock."""
_loading = threading.Lock()


def current_ruleset(known: CacheRead | None = None) -> LoadedRuleset:
    """The rules in force. Never raises: without a database, the last known ones.

    `known`: what the caller has read from the cache already.
    """
    global _checked_at  # noqa: PLW0603 - one float for the process; a race only checks again
    read = known if known is not None else protocol.read(())
    loaded = _of_transaction if read.is_own else _loaded
    _checked_at = read.began
    if read.version is not None and loaded is not None and loaded.version == read.version:
        return loaded
    if read.database_failed:
        return _last_known(None)
    try:
        with _loading:
            return _load()
    except DatabaseError as error:
        report(
            logger, "ruleset_unreadable", "The segments are unreadable: %s", type(error).__name__
        )
        return _last_known(read.version)


def known_ruleset() -> LoadedRuleset:
    """As `current_ruleset`. Raises OperationalError for NO_RULESET, which would say "no such segment"."""
    loaded = current_ruleset()
    if loaded.degraded is Degradation.SEGMENTS_UNAVAILABLE:
        raise OperationalError("the segments cannot be read")
    return loaded


def last_ruleset() -> LoadedRuleset | None:
    """The rules that this process used last. They may be in force no more."""
    return _loaded


def is_in_force(read: CacheRead) -> bool:
    """Whether the rules of the version that the cache names are compiled in this process."""
    loaded = _loaded
    return loaded is not None and read.version is not None and loaded.version == read.version


def recent_ruleset() -> LoadedRuleset | None:
    """The rules that this process saw last, if that is no longer ago than `stale_seconds`."""
    seconds = app_settings().stale_seconds
    loaded = _loaded
    if not seconds or loaded is None or loaded.degraded is not None:
        return None
    return loaded if time.monotonic() - _checked_at < seconds else None


def forget_recent() -> None:
    """Look again at the next check: this process has written."""
    global _checked_at  # noqa: PLW0603 - the one place that holds it
    _checked_at = float("-inf")


def forget_loaded() -> None:
    """Drop what this process has compiled; for tests."""
    global _loaded, _of_transaction  # noqa: PLW0603 - the one place that holds them
    _loaded = _of_transaction = None
    forget_recent()
    _replace_lock()


def _replace_lock() -> None:
    global _loading  # noqa: PLW0603 - the one place that holds it
    _loading = threading.Lock()


# A thread that does not exist in the child may have held the lock: what is compiled still holds.
in_child(_replace_lock)


def renew_spare() -> bool:
    """Keep the rules in force for processes that start while the database is down.

    Loading them does this too, but a spare that nobody renews expires after a week. Whether the cache
    took them. Raises DatabaseError.
    """
    version, rows = _read_all(_read_version())
    return _keep_spare(version, rows)


def _load() -> LoadedRuleset:
    """Read and compile, unless another thread has done so. Rows and version are of one moment."""
    global _loaded, _of_transaction  # noqa: PLW0603 - the one place that holds them
    loaded = _loaded
    before = _read_version()
    if loaded is not None and loaded.version == before:
        return loaded
    version, rows = _read_all(before)
    if is_writing():
        _of_transaction = _compile(version, rows, loaded)
        return _of_transaction
    _loaded = _compile(version, rows, loaded)
    _keep_spare(version, rows)
    return _loaded


def _read_all(before: str) -> tuple[str, list[SegmentRow]]:
    """The rules and their version; `before` is the version that was read just now."""
    rows = _read_rows()
    for _ in range(MOST_TRIES):
        after = _read_version()
        if after == before:
            return after, rows
        before, rows = after, _read_rows()
    return "", rows  # Rows of several moments: use them for now, and read again next time.


def _compile(version: str, rows: list[SegmentRow], before: LoadedRuleset | None) -> LoadedRuleset:
    began = perf_counter()
    definitions = [_definition(row) for row in rows]
    ruleset = Ruleset(definitions, previous=before.ruleset if before is not None else None)
    timings.compilations.append(perf_counter() - began)
    for key, problems in ruleset.problems.items():
        for problem in problems:
            report(logger, f"segment_broken:{key}", "Segment %s is broken: %s", key, problem)
    return LoadedRuleset(ruleset=ruleset, version=version)


def _definition(row: SegmentRow) -> SegmentDefinition:
    """An inactive segment stays known, to rules that name it, but has no members."""
    if not row.is_active:
        return SegmentDefinition(key=row.key, version=row.version, kind=row.kind)
    rules, problems = load_rules(row.rules, row.kind)
    for problem in problems:
        report(logger, f"segment_broken:{row.key}", "Segment %s is broken: %s", row.key, problem)
    return SegmentDefinition(
        key=row.key,
        version=row.version,
        rules=rules,
        included=row.included,
        excluded=row.excluded,
        kind=row.kind,
        salt=row.salt,
        begins=row.begins,
    )


def _read_version() -> str:
    with fresh_rows():
        return RulesetVersion.read(primary(RulesetVersion))


def _read_rows() -> list[SegmentRow]:
    """All segments and members: two queries, never from cachalot, which may hold old rows."""
    included: dict[int, dict[str, int | None]] = {}
    excluded: dict[int, dict[str, int | None]] = {}
    begins: dict[int, dict[str, int]] = {}
    with fresh_rows():
        members = (
            SegmentMember.objects.using(primary(SegmentMember))
            .order_by()
            .values_list("segment_id", "user_id", "key", "kind", "starts_at", "expires_at")
        )
        for segment, user, key, kind, starts_at, expires_at in members:
            side = included if kind == SegmentMember.Kind.INCLUDE else excluded
            until = None if expires_at is None else to_microseconds(expires_at)
            side.setdefault(segment, {})[key or str(user)] = until
            if starts_at is not None:
                begins.setdefault(segment, {})[key or str(user)] = to_microseconds(starts_at)
        segments = (
            Segment.objects.using(primary(Segment))
            .order_by("key")
            .values_list("pk", "key", "version", "is_active", "rules", "kind", "salt")
        )
        return [
            SegmentRow(
                *(key, number, active, rules, included.get(pk, {}), excluded.get(pk, {})),
                *(kind, salt, begins.get(pk, {})),
            )
            for pk, key, number, active, rules, kind, salt in segments
        ]


def _keep_spare(version: str, rows: Iterable[SegmentRow]) -> bool:
    try:
        value = msgspec.msgpack.encode(Spare(version, list(rows)))
        caches[app_settings().cache].set(SPARE_KEY, value, SPARE_SECONDS)
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        name = type(error).__name__
        report(logger, "cache_spare_failed", "The cache failed to keep the segments: %s", name)
        return False
    return True


def _last_known(version: str | None) -> LoadedRuleset:
    """What this process has, else the spare; only if its version is not the one in force is it
    degraded."""
    global _loaded  # noqa: PLW0603 - the one place that holds it
    loaded = _loaded
    if loaded is None or (version is not None and loaded.version != version):
        spare = _read_spare()
        if spare is not None and (loaded is None or spare.version == version):
            loaded = _loaded = _compile(spare.version, spare.rows, loaded)
    if loaded is None:
        return NO_RULESET
    if loaded.version == version:
        return loaded
    return replace(loaded, degraded=Degradation.SEGMENTS_STALE)


def _read_spare() -> Spare | None:
    try:
        value = caches[app_settings().cache].get(SPARE_KEY)
        return None if value is None else msgspec.msgpack.decode(value, type=Spare)
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        name = type(error).__name__
        report(logger, "cache_spare_failed", "The cache failed to give the segments: %s", name)
        return None
