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
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from featureflags.cache import answer_counters, daily_counters

PREFIX = "flag-usage"
FLUSH_SECONDS = 60.0
MAX_FLAGS = 2_000
"""More keys than this in one minute are made up, not flags."""

pending: dict[str, int] = {}
"""What this process has counted and not merged yet. Always the same dict: whoever counts may keep
it, and add to what stands in it; a new flag comes in by `count`."""
_flush_at = time.monotonic() + FLUSH_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the cache knows of the last `daily.KEPT_DAYS`."""

    since: datetime.date | None = None
    """The first day (UTC) on which anything was counted. None: nothing was."""
    last: Mapping[str, datetime.date] = field(default_factory=dict)
    """The last day on which each flag was evaluated."""
    total: Mapping[str, int] = field(default_factory=dict)
    days: Mapping[datetime.date, int] = field(default_factory=dict)
    """Evaluations of all flags, by day."""
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
        if pending or answer_counters.pending:
            threading.Thread(target=flush, name="flag-usage", daemon=True).start()


def flush() -> bool:
    """Add what was counted to the entry of today, with the tallies; whether the cache took it."""
    tallies_are_merged = answer_counters.flush()
    # Taken one by one: what a thread counts meanwhile stays, or goes along.
    counts = {flag: times for flag in list(pending) if (times := pending.pop(flag, 0))}
    if not counts or daily_counters.merge(PREFIX, counts):
        return tallies_are_merged
    for flag, times in counts.items():
        pending[flag] = pending.get(flag, 0) + times
    return False


def read() -> Usage:
    """The counts of all processes that have merged theirs."""
    days = daily_counters.read(PREFIX)
    if days is None:
        return Usage(failed=True)
    last: dict[str, datetime.date] = {}
    for day, counts in days.items():
        for flag in counts:
            last[flag] = max(day, last.get(flag, day))
    return Usage(
        since=min(days, default=None),
        last=last,
        total=answer_counters.sum_of(days),
        days={day: sum(counts.values()) for day, counts in days.items()},
    )


def forget() -> None:
    """Start again from nothing; after a fork, and for tests."""
    global _flush_at  # noqa: PLW0603 - the one place that holds it
    pending.clear()
    answer_counters.forget()
    _flush_at = time.monotonic() + FLUSH_SECONDS


# The parent merges its own counts: a child starts at nothing.
os.register_at_fork(after_in_child=forget)
atexit.register(flush)
