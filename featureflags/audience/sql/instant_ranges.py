"""Limits of clauses as ranges of a stored instant, exact to the microsecond.

Pure arithmetic: instants are µs since the epoch, UTC; the result is a first and a last one.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from featureflags.core.types import MICROSECONDS_PER_DAY, JSONValue
from featureflags.segments.operators import LOWER_BOUNDS, UPPER_BOUNDS, numeric_limit
from featureflags.segments.values import parse_instant

FIRST_INSTANT: Final = -62_135_596_800_000_000
"""The beginning of the year 1, where Python's and the databases' dates begin."""
LAST_INSTANT: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999."""

_MOST_DAYS: Final = 10_000_000
"""More than from the year 1 to the year 9999."""

_SYMBOLS: Final = {
    "lessThan": "<",
    "lessThanOrEqual": "<=",
    "greaterThan": ">",
    "greaterThanOrEqual": ">=",
    "before": "<",
    "after": ">",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A comparison with a number: `<`, `<=`, `>` or `>=`, and a double."""

    symbol: str
    number: float


def limit_of(op: str, values: Sequence[JSONValue]) -> Limit | None:
    """The one limit that decides for all values of a comparison; None: it never holds.

    For `before` and `after` it is in milliseconds since the epoch.
    """
    if op in UPPER_BOUNDS | LOWER_BOUNDS:
        number = numeric_limit(op, values)
    else:
        parsed = [parse_instant(value) for value in values]
        instants = [one for one in parsed if one is not None and not math.isnan(one)]
        number = (max if op == "before" else min)(instants, default=None)
    return None if number is None else Limit(symbol=_SYMBOLS[op], number=number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Instants from `first` to `last`, both included."""

    first: int = FIRST_INSTANT
    last: int = LAST_INSTANT


def instants_within(limit: Limit) -> Span:
    """The stored instants that `before` and `after` accept.

    The engine compares doubles of milliseconds, which far from the epoch are coarser than
    microseconds; so the end of the span is searched for with its own arithmetic.
    """
    every = range(FIRST_INSTANT, LAST_INSTANT + 1)
    if limit.symbol == "<":
        return Span(last=FIRST_INSTANT - 1 + bisect_left(every, limit.number, key=_milliseconds))
    return Span(first=FIRST_INSTANT + bisect_right(every, limit.number, key=_milliseconds))


def _milliseconds(instant: int) -> float:
    # As `segments.values.parse_instant`: `timedelta.total_seconds() * 1000.0`.
    return instant / 10**6 * 1000.0


def days_within(limit: Limit, now: int) -> Span:
    """The instants since which an accepted number of whole days has passed."""
    number = min(max(limit.number, -_MOST_DAYS), _MOST_DAYS)
    if limit.symbol == "<":
        return _since(0, math.ceil(number) - 1, now)
    if limit.symbol == "<=":
        return _since(0, math.floor(number), now)
    if limit.symbol == ">":
        return _since(math.floor(number) + 1, None, now)
    return _since(math.ceil(number), None, now)


def days_equal(values: Sequence[JSONValue], now: int) -> list[Span]:
    """The instants since which exactly these numbers of whole days have passed; others are ignored."""
    days = {
        int(value)
        for value in values
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 <= value <= _MOST_DAYS
        and value == int(value)
    }
    return [_since(day, day, now) for day in sorted(days)]


def _since(fewest: int, most: int | None, now: int) -> Span:
    first = FIRST_INSTANT
    if most is not None:
        if most < 0:
            return Span(first=LAST_INSTANT + 1)
        first = now - (most + 1) * MICROSECONDS_PER_DAY + 1
    # For an instant in the future zero days have passed: days are never negative.
    last = now - fewest * MICROSECONDS_PER_DAY if fewest > 0 else LAST_INSTANT
    return Span(first=first, last=last)
