"""Ranges of instants that move with now: what `in the last 14 days` or `this month` means at one moment.

A window depends on now alone and never moves back: a fixed instant enters it once, and leaves it once. All
is in µs, UTC, and exact.
"""

from __future__ import annotations

from bisect import bisect_left
from calendar import isleap
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol

from featureflags.core.site_calendar import first_of, month_of, site_calendar
from featureflags.core.types import MICROSECONDS_PER_DAY
from featureflags.segments.date_values import Duration
from featureflags.segments.moments import Moment

FOREVER: Final = 10**40
"""Beyond every instant: the end of a window that has none."""


YEARS_BEFORE, YEARS_AFTER = 120, 30
"""The years around now in which SQL looks for a day of the year; Python looks in all others."""


class Window(Protocol):
    """A range of instants that moves with now."""

    def holds(self, moment: Moment, now: int) -> bool:
        """True if the window contains the moment at `now`."""
        ...

    def next_change(self, moment: Moment, now: int) -> int | None:
        """The next instant after `now` at which `holds` changes; None: it never does."""
        ...

    def next_change_of_now(self, now: int) -> int | None:
        """The same for the instant itself, which is the value of an attribute such as `now`; never late."""
        ...


class RangeWindow:
    """A window from one instant to another, both included; both never go back."""

    __slots__ = ()

    def first(self, now: int) -> int:
        raise NotImplementedError

    def last(self, now: int) -> int:
        raise NotImplementedError

    def holds(self, moment: Moment, now: int) -> bool:
        return self.first(now) <= moment.instant <= self.last(now)

    def next_change(self, moment: Moment, now: int) -> int | None:
        if moment.instant > self.last(now):
            return self._enters(moment, now)
        return self._leaves(moment, now) if moment.instant >= self.first(now) else None

    def _enters(self, moment: Moment, now: int) -> int | None:
        raise NotImplementedError

    def _leaves(self, moment: Moment, now: int) -> int | None:
        raise NotImplementedError

    def next_change_of_now(self, now: int) -> int | None:
        del now
        return None


@dataclass(frozen=True, slots=True)
class InLast(RangeWindow):
    """From so long ago until now."""

    duration: Duration

    def first(self, now: int) -> int:
        return self.duration.before(now)

    def last(self, now: int) -> int:
        return now

    def _enters(self, moment: Moment, now: int) -> int | None:
        del now
        return moment.instant

    def _leaves(self, moment: Moment, now: int) -> int | None:
        return _least(self.duration.before, moment.instant + 1, self.duration.after, now)


@dataclass(frozen=True, slots=True)
class InNext(RangeWindow):
    """After now, until so long from now."""

    duration: Duration

    def first(self, now: int) -> int:
        return now + 1

    def last(self, now: int) -> int:
        return self.duration.after(now)

    def _enters(self, moment: Moment, now: int) -> int | None:
        return _least(self.duration.after, moment.instant, self.duration.before, now)

    def _leaves(self, moment: Moment, now: int) -> int | None:
        del now
        return moment.instant


@dataclass(frozen=True, slots=True)
class LongerAgoThan(RangeWindow):
    """Before so long ago."""

    duration: Duration

    def first(self, now: int) -> int:
        del now
        return -FOREVER

    def last(self, now: int) -> int:
        return self.duration.before(now) - 1

    def _enters(self, moment: Moment, now: int) -> int | None:
        return _least(self.duration.before, moment.instant + 1, self.duration.after, now)

    def _leaves(self, moment: Moment, now: int) -> int | None:
        del moment, now
        return None


def _least(
    of_now: Callable[[int], int], wanted: int, inverse: Callable[[int], int], now: int
) -> int:
    """The first instant after `now` at which a function that never goes back reaches `wanted`."""
    near = inverse(wanted)
    for at in (near, near - 1, near + 1):
        if at > now and of_now(at) >= wanted > of_now(at - 1):
            return at
    # A day has 23 to 25 hours and a month 28 to 31 days.
    slack = 40 * MICROSECONDS_PER_DAY
    first = max(now + 1, near - slack)
    return first + bisect_left(range(first, max(first, near) + slack), wanted, key=of_now)


@dataclass(frozen=True, slots=True)
class Between(RangeWindow):
    """From one fixed instant until before another; only now itself can enter it."""

    begin: int
    end: int

    def first(self, now: int) -> int:
        del now
        return self.begin

    def last(self, now: int) -> int:
        del now
        return self.end - 1

    def next_change(self, moment: Moment, now: int) -> int | None:
        del moment, now
        return None

    def next_change_of_now(self, now: int) -> int | None:
        return min((at for at in (self.begin, self.end) if at > now), default=None)


_MONTHS: Final = {"Month": 1, "Quarter": 3, "Year": 12}


@dataclass(frozen=True, slots=True)
class Period(RangeWindow):
    """The day, week, month, quarter or year of now, or the one before it."""

    unit: str
    is_last: bool

    def first(self, now: int) -> int:
        return site_calendar().start(
            self._begin(site_calendar().day(now), -1 if self.is_last else 0)
        )

    def last(self, now: int) -> int:
        following = self._begin(site_calendar().day(now), 0 if self.is_last else 1)
        return site_calendar().start(following) - 1

    def _begin(self, day: int, by: int) -> int:
        """The first day of the period of a day, or of one so many periods later."""
        if self.unit == "Day":
            return day + by
        if self.unit == "Week":
            return day - (day + 6) % 7 + 7 * by
        length = _MONTHS[self.unit]
        month, _ = month_of(day)
        return first_of(month - month % length + length * by)

    def _enters(self, moment: Moment, now: int) -> int | None:
        del now
        day = site_calendar().day(moment.instant)
        return site_calendar().start(self._begin(day, 1 if self.is_last else 0))

    def _leaves(self, moment: Moment, now: int) -> int | None:
        del moment
        return site_calendar().start(self._begin(site_calendar().day(now), 1))


@dataclass(frozen=True, slots=True)
class DayOfYear:
    """The day of the year that is named, or today's. In years without a 29 February, those of that day have
    theirs on the 28th."""

    named: tuple[int, int] | None

    def holds(self, moment: Moment, now: int) -> bool:
        return moment.day_of_year in self._wanted(now)

    def _wanted(self, now: int) -> frozenset[tuple[int, int]]:
        if self.named is not None:
            return frozenset({self.named})
        today = date_of(site_calendar().day(now))
        found = {(today.month, today.day)}
        if found == {(2, 28)} and not isleap(today.year):
            found.add((2, 29))
        return frozenset(found)

    def next_change(self, moment: Moment, now: int) -> int | None:
        if self.named is not None or moment.day_of_year is None:
            return None
        calendar = site_calendar()
        today = calendar.day(now)
        if self.holds(moment, now):
            return calendar.start(today + 1)
        year = date_of(today).year
        days = (_day_in(year + by, moment.day_of_year) for by in (0, 1))
        return calendar.start(min(day for day in days if day > today))

    def next_change_of_now(self, now: int) -> int | None:
        return site_calendar().start(site_calendar().day(now) + 1)

    def years(self, now: int) -> range:
        """The years for which `days` gives the days."""
        year = date_of(site_calendar().day(now)).year
        return range(max(1, year - YEARS_BEFORE), min(9999, year + YEARS_AFTER) + 1)

    def days(self, now: int) -> list[tuple[int, int]]:
        """The first and the last day of each run of days of these years that the window contains."""
        wanted, found = sorted(self._wanted(now)), []
        for year in self.years(now):
            days = [date(year, *day).toordinal() for day in wanted if _exists(year, day)]
            if days:
                found.append((days[0], days[-1]))
        return found


def date_of(day: int) -> date:
    return date.fromordinal(min(max(day, 1), date.max.toordinal()))


def _exists(year: int, day: tuple[int, int]) -> bool:
    return day != (2, 29) or isleap(year)


def _day_in(year: int, day: tuple[int, int]) -> int:
    """The ordinal of a day of the year."""
    if year > date.max.year:
        return date.max.toordinal() + 1
    return date(year, *(day if _exists(year, day) else (2, 28))).toordinal()
