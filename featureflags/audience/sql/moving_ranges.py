"""Windows of dates that move (`segments.moving_dates`) as ranges that SQL compares with, at one moment.

Pure arithmetic in µs, exact: a stored instant, a stored date, or a JSON number of milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

from featureflags.audience.sql.instant_ranges import FIRST_INSTANT, LAST_INSTANT, Span
from featureflags.core.site_calendar import first_of, site_calendar
from featureflags.core.types import MICROSECONDS_PER_DAY
from featureflags.segments.windows import FOREVER, DayOfYear, RangeWindow, Window

_EPOCH_DAY = 719_163
"""1970-01-01 as an ordinal."""


def instants_in(windows: Sequence[Window], now: int, *, plain_dates: bool) -> list[Span]:
    """The stored instants in the windows. With `plain_dates` each stands for a day, as its midnight in UTC."""
    found = []
    for window in windows:
        if isinstance(window, DayOfYear):
            found += [_days(*run, plain_dates=plain_dates) for run in window.days(now)]
        elif isinstance(window, RangeWindow):
            span = Span(first=window.first(now), last=window.last(now))
            found.append(_midnights(span) if plain_dates else span)
    return found


def beyond_years(windows: Sequence[Window], now: int, *, plain_dates: bool) -> list[Span]:
    """The instants about which `instants_in` says nothing: those in years far from now."""
    found = []
    for window in windows:
        if isinstance(window, DayOfYear):
            years = window.years(now)
            first, following = first_of(years[0] * 12), first_of((years[-1] + 1) * 12)
            known = _days(first, following - 1, plain_dates=plain_dates)
            found += [Span(last=known.first - 1), Span(first=known.last + 1)]
    return found


def doubles_in(window: RangeWindow, now: int) -> Iterator[tuple[str, float]]:
    """The comparisons that a number of milliseconds in the window fulfils, as `moments.moment_of` rounds it."""
    first, last = window.first(now), window.last(now)
    if first > -FOREVER:
        limit = Fraction(2 * first - 1, 2_000)
        found = _double(limit)
        yield ">=", found if found >= limit else math.nextafter(found, math.inf)
    limit = Fraction(2 * last + 1, 2_000)
    found = _double(limit)
    yield "<=", found if found < limit else math.nextafter(found, -math.inf)


def _double(number: Fraction) -> float:
    return number.numerator / number.denominator


def _days(first: int, last: int, *, plain_dates: bool) -> Span:
    """From the first instant of one day to the last one of another, by their ordinals."""
    if plain_dates:
        return Span(first=_midnight(first), last=_midnight(last))
    calendar = site_calendar()
    return Span(first=calendar.start(first), last=calendar.start(last + 1) - 1)


def _midnights(span: Span) -> Span:
    """The midnights in UTC that stand for the days that begin within a span at the site."""
    calendar = site_calendar()
    first = max(span.first, FIRST_INSTANT - 2 * MICROSECONDS_PER_DAY)
    last = min(span.last, LAST_INSTANT + 2 * MICROSECONDS_PER_DAY)
    begin, end = calendar.day(first), calendar.day(last)
    if calendar.start(begin) < first:
        begin += 1
    while calendar.start(begin - 1) >= first:
        begin -= 1
    return Span(first=_midnight(begin), last=_midnight(end))


def _midnight(day: int) -> int:
    return (day - _EPOCH_DAY) * MICROSECONDS_PER_DAY
