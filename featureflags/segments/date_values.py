"""Values of the operators on dates that move: durations, names of periods, days of the year.

A duration is one of ISO 8601 with one unit: `PT12H`, `P14D`, `P2W`, `P3M`, `P1Y`. A day has 24 hours, as
in the age of an account; months and years go by the site's calendar (`core.site_calendar`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from featureflags.core.site_calendar import site_calendar
from featureflags.core.types import MICROSECONDS_PER_DAY

_HOUR: Final = MICROSECONDS_PER_DAY // 24
_DURATION: Final = re.compile(r"P(?:T(?P<H>\d{1,6})H|(?P<n>\d{1,4})(?P<unit>[DWMY]))", re.ASCII)
_FIXED: Final = {"H": _HOUR, "D": MICROSECONDS_PER_DAY, "W": 7 * MICROSECONDS_PER_DAY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """A length of time: µs, or months of the calendar."""

    microseconds: int = 0
    months: int = 0

    def before(self, now: int) -> int:
        """The instant so long before `now`."""
        return site_calendar().shift(now, -self.months) if self.months else now - self.microseconds

    def after(self, now: int) -> int:
        """The instant so long after `now`."""
        return site_calendar().shift(now, self.months) if self.months else now + self.microseconds


def parse_duration(value: object) -> Duration | None:
    """A duration of ISO 8601 with one unit and a number from 1; None if it is not one."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    number, unit = int(found["H"] or found["n"]), "H" if found["H"] else found["unit"]
    if number == 0:
        return None
    if unit in _FIXED:
        return Duration(microseconds=number * _FIXED[unit])
    return Duration(months=number * (12 if unit == "Y" else 1))


UNITS: Final = ("Day", "Week", "Month", "Quarter", "Year")
PERIODS: Final = tuple(f"{which}{unit}" for unit in UNITS for which in ("this", "last"))
"""The names of periods, as values have them: `thisDay`, `lastQuarter`. A week begins on Monday."""

TODAY: Final = "today"
_DAY_OF_YEAR: Final = re.compile(r"(\d\d)-(\d\d)", re.ASCII)
LEAP_YEAR: Final = 2000


def parse_day_of_year(value: object) -> tuple[int, int] | None:
    """Month and day of `12-24`, 29 February among them; None if it is not such a day."""
    found = _DAY_OF_YEAR.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    try:
        named = date(LEAP_YEAR, int(found[1]), int(found[2]))
    except ValueError:
        return None
    return named.month, named.day
