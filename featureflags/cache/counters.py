"""How often flags are evaluated, and how answers come about, by day. Counted in the process, merged into
the cache.

Two names share everything below: `flag_usage` counts evaluations by flag, `flag_answers` counts
`found:SOURCE` for each user who was looked up by key (not for a loaded one, or one in the unit's memo)
and `degraded:REASON` for each answer that is not certain. Pages and commands that only look are not
counted.

An evaluation costs one increment in a dict, without a lock: of two threads that count the same flag at
the same instant one may be lost, which is near enough for "is it still used?". At the end of a unit of
work, once in FLUSH_SECONDS at most, a thread of its own adds the counts to the entry of the day (UTC),
so that no page waits; a process that ends does the same. Counts that the cache does not take are kept
for the next time. A process that is killed loses its last minute.
"""

from __future__ import annotations

import atexit
import datetime
import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from django.core.cache import caches

from featureflags.contexts.results import ContextSource, Degradation
from featureflags.core import outages
from featureflags.core.conf import app_settings
from featureflags.core.fork_hooks import in_child
from featureflags.core.monitoring import report

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 60.0
KEPT_DAYS = 100
KEPT_SECONDS = KEPT_DAYS * 86_400
MAX_NAMES = 2_000
"""Of one kind, in one process and in the entry of a day. More keys than this are made up."""
TRIES = 5
"""Other processes add to the same entry."""
FOUND = "found:"
DEGRADED = "degraded:"
OUTAGES = "outages:"
OUTAGE_SECONDS = "outage_seconds:"

_decode = msgspec.msgpack.Decoder(dict[str, int]).decode


class DailyCounts:
    """Counts by name: `pending` are those of this process that are not merged yet."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.pending: dict[str, int] = {}
        """Always the same dict: a hot path may keep it and add to a name that is in it. A new name
        comes in by `count`."""
        self._merged: Counter[str] = Counter()
        """Those that the cache has."""

    def count(self, name: str, times: int = 1) -> None:
        if name in self.pending or len(self.pending) < MAX_NAMES:
            self.pending[name] = self.pending.get(name, 0) + times

    def flush(self) -> bool:
        """Add what was counted to the entry of today; whether the cache took it. Never raises."""
        # Taken one by one: what a thread counts meanwhile stays, or goes along.
        counts = {
            name: times for name in list(self.pending) if (times := self.pending.pop(name, 0))
        }
        if not counts:
            return True
        try:
            if merge_into(caches[app_settings().cache], self.entry_name(today()), counts):
                self._merged.update(counts)
                return True
        except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
            name = type(error).__name__
            report(logger, "usage_flush_failed", "The cache failed to count evaluations: %s", name)
        for name, times in counts.items():
            self.count(name, times)
        return False

    def totals(self) -> Counter[str]:
        """All counts of this process; while it merges, some are missing."""
        return self._merged + Counter(dict(self.pending))

    def read(self, days: int = KEPT_DAYS) -> dict[datetime.date, dict[str, int]] | None:
        """What all processes have merged, by day, of so many days with today. None: it failed."""
        now = today()
        wanted = (now - datetime.timedelta(number) for number in range(days))
        names = {self.entry_name(day): day for day in wanted}
        try:
            found = caches[app_settings().cache].get_many(names)
        except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
            name = type(error).__name__
            report(logger, "usage_read_failed", "Counts of evaluations are unreadable: %s", name)
            return None
        return {names[name]: counts_in(value) for name, value in found.items()}

    def forget(self) -> None:
        self.pending.clear()
        self._merged.clear()

    def entry_name(self, day: datetime.date) -> str:
        return f"{self.prefix}:{day.isoformat()}"


degraded_by_flag: Counter[str] = Counter()
"""Evaluations of a known flag in this process whose answer is not certain."""
flag_usage = DailyCounts("flag-usage")
flag_answers = DailyCounts("flag-answers")
due_at = [time.monotonic() + FLUSH_SECONDS]
"""When the counts are to be merged next, on the monotonic clock. A list, so that others see it move."""
FOUND_NAMES = {each: f"{FOUND}{each.value}" for each in ContextSource}


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Evaluations of the last KEPT_DAYS."""

    since: datetime.date | None = None
    """The first day (UTC) on which anything was counted. None: nothing was."""
    last: Mapping[str, datetime.date] = field(default_factory=dict)
    """The last day on which each flag was evaluated."""
    total: Mapping[str, int] = field(default_factory=dict)
    days: Mapping[datetime.date, int] = field(default_factory=dict)
    """Evaluations of all flags, by day."""
    failed: bool = False
    """The cache did not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOutages:
    """Outages of one server that are over, as each process met them."""

    server: str
    times: int
    seconds: int
    """Of all processes together, each outage rounded up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCounts:
    """How answers came about, over some days together."""

    found: Mapping[ContextSource, int] = field(default_factory=dict)
    """Users who were looked up, by where they were found."""
    degraded: Mapping[Degradation, int] = field(default_factory=dict)
    """Answers; one may have several reasons."""
    outages: tuple[ServerOutages, ...] = ()
    failed: bool = False
    """The cache did not answer."""

    @property
    def hit_rate(self) -> float | None:
        """Which share of the users who were looked up the cache had; None if nobody was."""
        total = sum(self.found.values())
        return self.found.get(ContextSource.CACHE, 0) / total if total else None


def count_found(sources: Iterable[ContextSource]) -> None:
    for source, times in Counter(sources).items():
        flag_answers.count(FOUND_NAMES[source], times)


def count_degraded(flag: str, reasons: Iterable[Degradation]) -> None:
    if flag in degraded_by_flag or len(degraded_by_flag) < MAX_NAMES:
        degraded_by_flag[flag] += 1
    for reason in reasons:
        flag_answers.count(f"{DEGRADED}{reason.value}")


def count_outage(server: str, seconds: float) -> None:
    """An outage is over; it lasted so long for this process."""
    flag_answers.count(OUTAGES + server)
    flag_answers.count(OUTAGE_SECONDS + server, math.ceil(seconds))


def read_usage() -> Usage:
    """The evaluations that all processes have merged."""
    days = flag_usage.read()
    if days is None:
        return Usage(failed=True)
    last: dict[str, datetime.date] = {}
    for day, counts in days.items():
        for flag in counts:
            last[flag] = max(day, last.get(flag, day))
    return Usage(
        since=min(days, default=None),
        last=last,
        total=sum_of(days),
        days={day: sum(counts.values()) for day, counts in days.items()},
    )


def read_answers(days: int) -> AnswerCounts:
    """The answers that all processes have merged over the last `days` days, with today (UTC)."""
    known = flag_answers.read(days)
    if known is None:
        return AnswerCounts(failed=True)
    total = sum_of(known)
    return AnswerCounts(
        found={
            each: total[name] for each in ContextSource if (name := FOUND + each.value) in total
        },
        degraded={
            each: total[name] for each in Degradation if (name := DEGRADED + each.value) in total
        },
        outages=tuple(
            ServerOutages(
                server=name.removeprefix(OUTAGES),
                times=times,
                seconds=total[OUTAGE_SECONDS + name.removeprefix(OUTAGES)],
            )
            for name, times in sorted(total.items())
            if name.startswith(OUTAGES)
        ),
    )


def flush_if_due() -> None:
    """Merge in a thread of its own, if the last time is FLUSH_SECONDS ago."""
    now = time.monotonic()
    if now >= due_at[0]:
        due_at[0] = now + FLUSH_SECONDS  # A race only merges twice.
        if flag_usage.pending or flag_answers.pending:
            threading.Thread(target=flush, name="flag-usage", daemon=True).start()


def flush() -> bool:
    """Merge all counts of this process; whether the cache took them."""
    return all([flag_answers.flush(), flag_usage.flush()])


def forget() -> None:
    """Start again from nothing; after a fork, and for tests."""
    degraded_by_flag.clear()
    for counted in (flag_usage, flag_answers):
        counted.forget()
    due_at[0] = time.monotonic() + FLUSH_SECONDS


"""When the counts are to be merged next, on the monotonic clock. A list, so that others see it move."""
FOUND_NAMES = {each: f"{FOUND}{each.value}" for each in ContextSource}


def merge_into(cache: Any, name: str, counts: Mapping[str, int]) -> bool:
    """Add these to an entry; False if others were faster TRIES times. Raises what the cache does."""
    for _ in range(TRIES):
        stored = cache.get(name)
        merged = counts_in(stored)
        for each, times in counts.items():
            if each in merged or len(merged) < MAX_NAMES:
                merged[each] = merged.get(each, 0) + times
        value = msgspec.msgpack.encode(merged)
        if stored is None:
            if cache.add(name, value, KEPT_SECONDS):
                return True
        elif not hasattr(cache, "replace"):
            cache.set(name, value, KEPT_SECONDS)
            return True
        elif cache.replace(name, stored, value, KEPT_SECONDS):
            return True
    return False


def counts_in(stored: object) -> dict[str, int]:
    """The counts of an entry; none where another release, or another program, wrote it."""
    if not isinstance(stored, bytes):
        return {}
    try:
        return _decode(stored)
    except msgspec.DecodeError as error:
        report(logger, "usage_undecodable", "Counts of evaluations are not ours: %s", error)
        return {}


def sum_of(days: Mapping[datetime.date, Mapping[str, int]]) -> Counter[str]:
    """All days together, by name."""
    total: Counter[str] = Counter()
    for counts in days.values():
        total.update(counts)
    return total


def today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


# The parent merges its own counts: a child starts at nothing.
in_child(forget)
outages.over.append(count_outage)
atexit.register(flush)
