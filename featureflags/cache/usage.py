"""How often each flag was evaluated, by day: kept in the process, merged into the cache.

An evaluation costs one increment in a dict, without a lock: of two threads that count the same flag
at the same instant one may be lost, which is near enough for “is it still used?”. At the end of a
unit of work, once in FLUSH_SECONDS at most, a thread of its own adds the counts to the entry of the
day (UTC), so that no page waits; a process that ends does the same. A count that the cache does not
take is kept for the next time. A process that is killed loses its last minute.
"""

from __future__ import annotations

import atexit
import datetime
import logging
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import msgspec
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache

from featureflags.cache.store import Replacing
from featureflags.conf import app_settings
from featureflags.monitoring import report

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 60.0
KEPT_DAYS = 100
KEPT_SECONDS = KEPT_DAYS * 86_400
MAX_FLAGS = 2_000
"""More keys than this in one minute are made up, not flags."""
TRIES = 5
"""Other processes add to the same entry."""

pending: dict[str, int] = {}
"""What this process has counted and not merged yet. Always the same dict: whoever counts may keep
it, and add to what stands in it; a new flag comes in by `count`."""
_flush_at = time.monotonic() + FLUSH_SECONDS
_decode = msgspec.msgpack.Decoder(dict[str, int]).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the cache knows of the last KEPT_DAYS."""

    since: datetime.date | None = None
    """The first day (UTC) on which anything was counted. None: nothing was."""
    last: Mapping[str, datetime.date] = field(default_factory=dict)
    """The last day on which each flag was evaluated."""
    total: Mapping[str, int] = field(default_factory=dict)
    failed: bool = False
    """The cache did not answer."""


def count(flag: str) -> None:
    """Count one evaluation."""
    if flag in pending or len(pending) < MAX_FLAGS:
        pending[flag] = pending.get(flag, 0) + 1


def flush_if_due() -> None:
    """Merge in a thread of its own, if the last time is FLUSH_SECONDS ago."""
    global _flush_at  # noqa: PLW0603 - one float for the process; a race only merges twice
    now = time.monotonic()
    if now >= _flush_at:
        _flush_at = now + FLUSH_SECONDS
        if pending:
            threading.Thread(target=flush, name="flag-usage", daemon=True).start()


def flush() -> bool:
    """Add what was counted to the entry of today; say whether the cache took it."""
    # Taken one by one: what a thread counts meanwhile stays, or goes along.
    counts = {flag: times for flag in list(pending) if (times := pending.pop(flag, 0))}
    if not counts:
        return True
    try:
        merged = _merge(caches[app_settings().cache], _name(_today()), counts)
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        name = type(error).__name__
        report(logger, "usage_flush_failed", "The cache failed to count evaluations: %s", name)
        merged = False
    if not merged:
        for flag, times in list(counts.items()):
            pending[flag] = pending.get(flag, 0) + times
    return merged


def read() -> Usage:
    """The counts of all processes that have merged theirs."""
    today = _today()
    days = {_name(day): day for day in (today - datetime.timedelta(n) for n in range(KEPT_DAYS))}
    try:
        found = caches[app_settings().cache].get_many(days)
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        name = type(error).__name__
        report(logger, "usage_read_failed", "The counts of evaluations are unreadable: %s", name)
        return Usage(failed=True)
    last: dict[str, datetime.date] = {}
    total: dict[str, int] = {}
    for name, value in found.items():
        for flag, times in _counts(value).items():
            last[flag] = max(days[name], last.get(flag, days[name]))
            total[flag] = total.get(flag, 0) + times
    return Usage(since=min((days[name] for name in found), default=None), last=last, total=total)


def forget() -> None:
    """Start again from nothing; after a fork, and for tests."""
    global _flush_at  # noqa: PLW0603 - the one place that holds it
    pending.clear()
    _flush_at = time.monotonic() + FLUSH_SECONDS


def _merge(cache: BaseCache, name: str, counts: Mapping[str, int]) -> bool:
    for _ in range(TRIES):
        stored = cache.get(name)
        merged = dict(counts)
        for flag, times in _counts(stored).items():
            merged[flag] = merged.get(flag, 0) + times
        value = msgspec.msgpack.encode(merged)
        if stored is None:
            if cache.add(name, value, KEPT_SECONDS):
                return True
        elif not hasattr(cache, "replace"):
            cache.set(name, value, KEPT_SECONDS)
            return True
        elif cast("Replacing", cache).replace(name, stored, value, KEPT_SECONDS):
            return True
    return False


def _counts(stored: object) -> dict[str, int]:
    """The counts of a day; none where another release, or somebody else, wrote the entry."""
    if not isinstance(stored, bytes):
        return {}
    try:
        return _decode(stored)
    except msgspec.DecodeError as error:
        report(logger, "usage_undecodable", "Counts of evaluations are not ours: %s", error)
        return {}


def _name(day: datetime.date) -> str:
    return f"flag-usage:{day.isoformat()}"


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


# The parent merges its own counts: a child starts at nothing.
os.register_at_fork(after_in_child=forget)
atexit.register(flush)
