"""The operators on dates that move: `in the last 14 days`, `this month`, `on the same day of the year`.

A clause has windows, one for each of its values, and holds for a moment in any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from featureflags.core.types import JSONValue
from featureflags.segments.date_values import (
    PERIODS,
    TODAY,
    Duration,
    parse_day_of_year,
    parse_duration,
)
from featureflags.segments.moments import moment_of
from featureflags.segments.windows import (
    Between,
    DayOfYear,
    InLast,
    InNext,
    LongerAgoThan,
    Period,
    Window,
)


def _of_durations(kind: Callable[[Duration], Window], values: Iterable[JSONValue]) -> list[Window]:
    found = map(parse_duration, values)
    return [kind(duration) for duration in found if duration is not None]


def _in_last(values: Sequence[JSONValue]) -> list[Window]:
    return _of_durations(InLast, values)


def _in_next(values: Sequence[JSONValue]) -> list[Window]:
    return _of_durations(InNext, values)


def _longer_ago(values: Sequence[JSONValue]) -> list[Window]:
    return _of_durations(LongerAgoThan, values)


def _between(values: Sequence[JSONValue]) -> list[Window]:
    instants = [found.instant for value in values if (found := moment_of(value)) is not None]
    return [Between(*instants)] if len(values) == len(instants) == 2 else []


def _within(values: Sequence[JSONValue]) -> list[Window]:
    return [
        Period(value[4:], value.startswith("last"))
        for value in values
        if isinstance(value, str) and value in PERIODS
    ]


def _days_of_year(values: Sequence[JSONValue]) -> list[Window]:
    named = [(value, parse_day_of_year(value)) for value in values]
    return [DayOfYear(day) for value, day in named if value == TODAY or day is not None]


WINDOWS: Final[Mapping[str, Callable[[Sequence[JSONValue]], list[Window]]]] = {
    "inLast": _in_last,
    "inNext": _in_next,
    "longerAgoThan": _longer_ago,
    "within": _within,
    "between": _between,
    "onDayOfYear": _days_of_year,
}
"""The operators on dates that move, from their values to windows; a value that does not fit has none."""


def any_holds(windows: Iterable[Window], value: object, now: int) -> bool:
    """True if the value is a moment in one of the windows. Raises OverflowError as any other test."""
    moment = moment_of(value)
    return moment is not None and any(window.holds(moment, now) for window in windows)


def next_change_in(windows: Iterable[Window], value: object, now: int) -> int | None:
    """The next instant after `now` at which one of the windows changes for the value; None: none does."""
    moment = moment_of(value)
    if moment is None:
        return None
    found = (window.next_change(moment, now) for window in windows)
    # East of Greenwich the last hours of the calendar lie in a year without a name.
    return min((at for at in found if at is not None and at > now), default=None)
