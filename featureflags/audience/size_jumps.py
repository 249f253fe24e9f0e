"""Sizes of segments that jump: by more than SIZE_JUMP_PERCENT within an hour, in one step or in several.

Each stored size keeps the counts of the last hour, one for each minute, and the one that held an hour ago.
After a jump they begin anew with the present count, so that a jump is announced once.

>>> recent = add_count((), Count(at=0, at_least=100, at_most=100))
>>> recent = add_count(recent, Count(at=600, at_least=115, at_most=115))
>>> jump_to(Count(at=1200, at_least=125, at_most=125), recent, percent=20.0)
Count(at=0, at_least=100, at_most=100)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

SMALLEST_JUMP: Final = 10
"""Users. A smaller change of a size is never announced."""
HOUR: Final = 3600
LATE: Final = 300
"""Seconds by which an hourly count may be early or late: it still counts as the one of an hour ago."""
MINUTE: Final = 60


@dataclass(frozen=True, slots=True)
class Count:
    """A size as it was counted at an instant (seconds since the epoch): between two bounds."""

    at: int
    at_least: int
    at_most: int

    def moved_to(self, now: Count) -> int:
        """The smallest move that the bounds allow."""
        return max(now.at_least - self.at_most, self.at_least - now.at_most)

    def as_bounds(self) -> dict[str, int]:
        return {"at_least": self.at_least, "at_most": self.at_most}


def jump_to(now: Count, recent: Iterable[Count], *, percent: float) -> Count | None:
    """The count from which the size jumped, the one that is farthest away; None if it did not jump."""
    jumps = [
        old
        for old in _of_last_hour(now.at, recent)
        if old.moved_to(now) >= max(SMALLEST_JUMP, old.at_most * percent / 100)
    ]
    return max(jumps, key=lambda old: old.moved_to(now), default=None)


def add_count(recent: Sequence[Count], now: Count) -> list[Count]:
    """The counts to keep with a new one: the first of each minute, and the newest."""
    kept = _of_last_hour(now.at, recent)
    # The newest but one gives way if it is of the same minute as the one before it.
    if len(kept) > 1 and kept[-1].at // MINUTE == kept[-2].at // MINUTE:
        kept.pop()
    return [*kept, now]


def _of_last_hour(now: int, recent: Iterable[Count]) -> list[Count]:
    """The count that held an hour ago, and all after it, the oldest first."""
    counts = sorted(recent, key=lambda count: count.at)
    before = [number for number, count in enumerate(counts) if count.at <= now - HOUR + LATE]
    return counts[before[-1] :] if before else counts


def load_counts(stored: Any) -> list[Count]:
    """As `dump_counts` wrote them."""
    return [Count(*each) for each in stored]


def dump_counts(counts: Iterable[Count]) -> list[list[int]]:
    return [[count.at, count.at_least, count.at_most] for count in counts]
