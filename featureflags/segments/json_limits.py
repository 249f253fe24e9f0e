"""Which JSON a definition may hold: what every database, LaunchDarkly and RE2 can keep.

Pure functions that answer in words, or None where all is well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from featureflags.core.i18n import gettext
from featureflags.segments.date_values import PERIODS, TODAY, parse_day_of_year, parse_duration
from featureflags.segments.formatting import show
from featureflags.segments.ip_ranges import parse_range, range_around
from featureflags.segments.operator_labels import ValueKind
from featureflags.segments.regexes import Regex
from featureflags.segments.values import is_number, parse_instant, parse_semver

MAX_DEPTH: Final = 20
"""How deep lists and objects may nest inside one clause value."""


def json_problem(value: object, depth: int = 0) -> str | None:
    """Why a value is not JSON that we keep, or None: NaN, numbers beyond a double, half
    characters, NUL, nesting deeper than ``MAX_DEPTH``, and types that JSON lacks."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return text_problem(value)
    if isinstance(value, int | float):
        return number_problem(value)
    if not isinstance(value, list | tuple | dict):
        return gettext("a value of type %(name)s is not JSON") % {"name": type(value).__name__}
    if depth >= MAX_DEPTH:
        return gettext("a value may nest at most %(max_depth)s deep") % {"max_depth": MAX_DEPTH}
    return next(filter(None, _inside(value, depth + 1)), None)


def _inside(
    value: list[object] | tuple[object, ...] | dict[object, object], depth: int
) -> Iterator[str | None]:
    if not isinstance(value, dict):
        for item in value:
            yield json_problem(item, depth)
        return
    for name, item in value.items():
        yield (
            text_problem(name)
            if isinstance(name, str)
            else gettext("an object's names must be text")
        )
        yield json_problem(item, depth)


def text_problem(text: str) -> str | None:
    """Why a text cannot be kept, or None: PostgreSQL refuses NUL, UTF-8 half characters."""
    if "\0" in text:
        return gettext("text may not hold the character NUL")
    try:
        text.encode()
    except UnicodeEncodeError:
        return gettext("text may not hold half a character (a lone surrogate)")
    return None


def number_problem(number: int | float) -> str | None:
    """Why a number cannot be kept, or None: JSON numbers are finite doubles."""
    try:
        finite = math.isfinite(number)
    except OverflowError:
        finite = False
    return None if finite else gettext("a number must be finite and within the range of a double")


def _string(value: object) -> str | None:
    return (
        None
        if isinstance(value, str)
        else gettext("%(value)s is not text") % {"value": show(value)}
    )


def _regex(value: object) -> str | None:
    if not isinstance(value, str):
        return _string(value)
    try:
        Regex(value)
    except ValueError as error:
        return gettext("%(value)s is not a valid expression: %(error)s") % {
            "value": show(value),
            "error": error,
        }
    return None


def _number(value: object) -> str | None:
    return (
        None if is_number(value) else gettext("%(value)s is not a number") % {"value": show(value)}
    )


def _instant(value: object) -> str | None:
    if parse_instant(value) is not None:
        return None
    return gettext(
        "%(value)s is neither an RFC 3339 date and time with an offset (2025-01-31T12:00:00Z)"
        " nor a number of milliseconds"
    ) % {"value": show(value)}


def _duration(value: object) -> str | None:
    if parse_duration(value) is not None:
        return None
    return gettext(
        "%(value)s is not a number of hours, days, weeks, months or years: PT12H, P14D, P2W, P3M, P1Y"
    ) % {"value": show(value)}


def _period(value: object) -> str | None:
    if value in PERIODS:
        return None
    text = gettext("%(value)s is not one of %(periods)s")
    return text % {"value": show(value), "periods": ", ".join(PERIODS)}


def _day(value: object) -> str | None:
    if value == TODAY or parse_day_of_year(value) is not None:
        return None
    text = gettext("%(value)s is neither today nor a day of the year such as 12-24")
    return text % {"value": show(value)}


def _semver(value: object) -> str | None:
    if parse_semver(value) is not None:
        return None
    return gettext("%(value)s is not a semantic version (2.1.0)") % {"value": show(value)}


def _ip_range(value: object) -> str | None:
    if parse_range(value) is not None:
        return None
    found = range_around(value)
    if found is not None:
        text = gettext("%(value)s is inside a range. Write %(range)s")
        return text % {"value": show(value), "range": show(str(found))}
    text = gettext("%(value)s is neither an IP range (10.0.0.0/8, 2001:db8::/32) nor an address")
    return text % {"value": show(value)}


def _count(value: object) -> str | None:
    if isinstance(value, int | float) and is_number(value) and value >= 0 and value % 1 == 0:
        return None
    return gettext("%(value)s is not a number of entries") % {"value": show(value)}


def _segment(value: object) -> str | None:
    if isinstance(value, str) and value:
        return None
    return gettext("%(value)s is not the key of a segment") % {"value": show(value)}


def _nothing(value: object) -> str | None:
    return None if value is True else gettext("the values must be [true]")


_CHECKS: Mapping[ValueKind, Callable[[object], str | None]] = {
    ValueKind.ANY: lambda _value: None,
    ValueKind.STRING: _string,
    ValueKind.REGEX: _regex,
    ValueKind.NUMBER: _number,
    ValueKind.INSTANT: _instant,
    ValueKind.INSTANTS: _instant,
    ValueKind.DURATION: _duration,
    ValueKind.PERIOD: _period,
    ValueKind.DAY: _day,
    ValueKind.SEMVER: _semver,
    ValueKind.IP_RANGE: _ip_range,
    ValueKind.COUNT: _count,
    ValueKind.SEGMENT: _segment,
    ValueKind.NOTHING: _nothing,
}


def value_problem(kind: ValueKind, value: object) -> str | None:
    """Why a value does not suit an operator that takes this kind of value, or None."""
    return json_problem(value) or _CHECKS[kind](value)
