"""How users are found and how sure answers are, by day: counted in the process, merged as `usage`.

A name is `found:SOURCE` for each user who was looked up by key (not for one who was loaded, or known
to the unit of work), or `degraded:REASON` for each answer that is not what it would be if
everything worked. Pages and commands that only look are not counted.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from featureflags.cache import daily_counters
from featureflags.contexts.results import ContextSource, Degradation

PREFIX = "flag-answers"
FOUND = "found:"
DEGRADED = "degraded:"

pending: dict[str, int] = {}
"""What this process has counted and not merged yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tallies:
    """The counts of some days together."""

    found: Mapping[ContextSource, int] = field(default_factory=dict)
    """Users who were looked up, by where they were found."""
    degraded: Mapping[Degradation, int] = field(default_factory=dict)
    """Answers; one may have several reasons."""
    failed: bool = False
    """The cache did not answer."""

    @property
    def hit_rate(self) -> float | None:
        """Which share of those who were looked up the cache had; None if nobody was."""
        total = sum(self.found.values())
        return self.found.get(ContextSource.CACHE, 0) / total if total else None


def count_found(sources: Iterable[ContextSource]) -> None:
    for source, times in Counter(sources).items():
        _add(f"{FOUND}{source.value}", times)


def count_degraded(reasons: Iterable[Degradation]) -> None:
    for reason in reasons:
        _add(f"{DEGRADED}{reason.value}", 1)


def flush() -> bool:
    """Add what was counted to the entry of today; whether the cache took it."""
    counts = {name: times for name in list(pending) if (times := pending.pop(name, 0))}
    if not counts or daily_counters.merge(PREFIX, counts):
        return True
    for name, times in counts.items():
        _add(name, times)
    return False


def read(days: int) -> Tallies:
    """The counts of all processes over the last `days` days, with today (UTC)."""
    known = daily_counters.read(PREFIX, days)
    if known is None:
        return Tallies(failed=True)
    total = sum_of(known)
    return Tallies(
        found={
            each: total[name] for each in ContextSource if (name := FOUND + each.value) in total
        },
        degraded={
            each: total[name] for each in Degradation if (name := DEGRADED + each.value) in total
        },
    )


def sum_of(days: Mapping[datetime.date, Mapping[str, int]]) -> Counter[str]:
    """All days together, by name."""
    total: Counter[str] = Counter()
    for counts in days.values():
        total.update(counts)
    return total


def forget() -> None:
    """Start again from nothing; after a fork, and for tests."""
    pending.clear()


def _add(name: str, times: int) -> None:
    pending[name] = pending.get(name, 0) + times
