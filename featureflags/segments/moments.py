"""What a date in a value is to the operators on dates that move: an instant, and a day of the year.

A date without a time is a day of the site, whatever the zone: a birthday. It is `2026-05-17` in metadata,
and `2026-05-17T00:00:00-00:00` where a kind declares a column of dates: RFC 3339 has `-00:00` for a time
without a place (https://www.rfc-editor.org/rfc/rfc3339#section-4.3).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

from featureflags.core.site_calendar import SiteCalendar, site_calendar
from featureflags.core.times import EPOCH, MICROSECOND, parse_rfc3339

_PLAIN_DATE: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:T00:00:00-00:00)?", re.ASCII)
_FAR: Final = 10**30
"""µs: a number beyond it, an infinity too, is before or after every window."""


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant (µs); a date without a time is its first instant at the site."""

    instant: int
    named_day: int | None = None
    """The ordinal of a date without a time."""

    @property
    def day_of_year(self) -> tuple[int, int] | None:
        """Month and day at the site; None beyond the calendar."""
        day = self.named_day
        if day is None:
            if abs(self.instant) >= _CALENDAR:
                return None
            day = site_calendar().day(self.instant)
        if not 1 <= day <= date.max.toordinal():
            return None
        named = date.fromordinal(day)
        return named.month, named.day


_CALENDAR: Final = 10**18


def moment_of(value: object) -> Moment | None:
    """The moment of a text or of a number of milliseconds; None if it is not one.

    Raises OverflowError for an integer beyond a double, as all comparisons do.
    """
    if isinstance(value, str):
        return _of_text(value, site_calendar())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    double = float(value)
    if math.isnan(double):
        return None
    if not abs(double) < _FAR:
        return Moment(_FAR if double > 0 else -_FAR)
    above, below = value.as_integer_ratio()
    return Moment((2_000 * above + below) // (2 * below))


@lru_cache(maxsize=1024)
def _of_text(text: str, calendar: SiteCalendar) -> Moment | None:
    plain = _PLAIN_DATE.fullmatch(text)
    if plain is not None:
        try:
            day = date.fromisoformat(plain[1]).toordinal()
        except ValueError:
            return None
        return Moment(calendar.start(day), day)
    found = parse_rfc3339(text)
    return None if found is None else Moment((found - EPOCH) // MICROSECOND)
