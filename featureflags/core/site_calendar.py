"""Days, months and years in the site's time zone, as µs since the epoch. Imports no framework.

A day is named by its ordinal (`datetime.date.toordinal`). The app passes `TIME_ZONE` to `use_zone` when it
is ready; until then the zone is UTC.

Everything here grows with its argument, over changes of the clock and ends of months too: a day begins
when its midnight first strikes, or where the clock leaves midnight out, at the instant of the change. So a
condition on a date that moves turns true once and false once.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from featureflags.core.types import MICROSECONDS_PER_DAY

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
LAST_DAY: Final = date.max.toordinal()


class SiteCalendar:
    """The calendar of one time zone. Days before the year 1 and after 9999 have no names, only starts."""

    def __init__(self, zone: tzinfo) -> None:
        self.zone = zone
        # Many rows are asked about at one moment.
        self.start = lru_cache(maxsize=4096)(self._start)
        """The first instant (µs) of a day."""
        self.day = lru_cache(maxsize=1024)(self._day)
        """The day in which an instant (µs) lies: the last one that has begun."""
        self.shift = lru_cache(maxsize=1024)(self._shift)
        """As long after midnight of the same day, so many months later or earlier (instant, months).

        A day that the month lacks is the first one of the next month: 31 January and a month is
        1 March, 0:00.
        """

    def _start(self, day: int) -> int:
        named = date.fromordinal(min(max(day, 1), LAST_DAY))
        offset = datetime.combine(named, time(), self.zone).utcoffset()
        ahead = 0 if offset is None else round(offset.total_seconds() * 1_000_000)
        return (day - _EPOCH_DAY) * MICROSECONDS_PER_DAY - ahead

    def _day(self, instant: int) -> int:
        day = instant // MICROSECONDS_PER_DAY + _EPOCH_DAY
        while self.start(day) > instant:
            day -= 1
        while self.start(day + 1) <= instant:
            day += 1
        return day

    def _shift(self, instant: int, months: int) -> int:
        day = self.day(instant)
        month, number = month_of(day)
        target = first_of(month + months) + number - 1
        following = first_of(month + months + 1)
        if target >= following:
            return self.start(following)
        return min(self.start(target) + instant - self.start(day), self.start(target + 1))


def month_of(day: int) -> tuple[int, int]:
    """The number of a day's month, counted from the year 0, and the day of the month."""
    named = date.fromordinal(min(max(day, 1), LAST_DAY))
    return named.year * 12 + named.month - 1, named.day


def first_of(month: int) -> int:
    """The first day of a month by its number; of one beyond the calendar, the end of the calendar."""
    if month < 12:
        return 1
    year, month = divmod(month, 12)
    return LAST_DAY + 1 if year > date.max.year else date(year, month + 1, 1).toordinal()


_site = SiteCalendar(UTC)


def site_calendar() -> SiteCalendar:
    """The calendar of the site."""
    return _site


def use_zone(name: str) -> None:
    """Use this time zone from now on."""
    global _site  # noqa: PLW0603 - the one place that holds it
    _site = SiteCalendar(ZoneInfo(name))
