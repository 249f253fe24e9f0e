"""Attributes that change by themselves as time passes, and when a clause on one can flip.

Pure: instants are µs since the epoch, UTC, and are always given.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import msgspec

from featureflags.core.types import MICROSECONDS_PER_DAY, JSONValue
from featureflags.segments.operators import Test
from featureflags.segments.values import parse_instant

END_OF_TIME: Final = 253_402_300_800 * 1_000_000
"""The year 10000: Python's datetime, RFC 3339 and databases end before it, and so do clocks."""


class Clock(Protocol):
    """A user's attribute that changes by itself.

    A project's own attributes need only this; for ElapsedDays and CurrentTime the very instant is
    found at which a clause flips, however often their value changes before.
    """

    def next_change(self, now: int) -> int | None:
        """The next instant after ``now`` at which the value can differ: never late; or None."""
        ...


class ElapsedDays(msgspec.Struct, frozen=True, kw_only=True):
    """Whole days of 24 hours since an instant (µs), never negative: an account's age.

    A struct, since two are made for each context.
    """

    since: int

    def value(self, now: int) -> JSONValue:
        """The value at ``now``."""
        return max(0, (now - self.since) // MICROSECONDS_PER_DAY)

    def next_change(self, now: int) -> int | None:
        """When the next day is full."""
        elapsed = max(0, (now - self.since) // MICROSECONDS_PER_DAY)
        return _in_time(self.instant(elapsed + 1))

    def instant(self, step: int) -> int:
        """When a step begins."""
        return self.since + step * MICROSECONDS_PER_DAY

    @staticmethod
    def at_step(step: int) -> JSONValue:
        """The value during a step."""
        return max(0, step)

    @staticmethod
    def step_of(number: float) -> float:
        """The step at which the value reaches a clause's number; it may be a fraction."""
        return number


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentTime:
    """The instant itself, in milliseconds as ``before`` and ``after`` take them.

    For attributes such as ``now``, with which a rule switches at a date.
    """

    def value(self, now: int) -> JSONValue:
        """The value at ``now``."""
        return now / 1000

    def next_change(self, now: int) -> int | None:
        """A microsecond later."""
        return _in_time(now + 1)

    def instant(self, step: int) -> int:
        """When a step begins."""
        return step

    @staticmethod
    def at_step(step: int) -> JSONValue:
        """The value during a step."""
        return step / 1000

    @staticmethod
    def step_of(number: float) -> float:
        """The step at which the value reaches a clause's number; it may be a fraction."""
        return number * 1000


def _in_time(instant: int) -> int | None:
    return instant if instant < END_OF_TIME else None


SteppedClock: TypeAlias = ElapsedDays | CurrentTime
"""Clocks that count whole steps. Each step has one value, and later steps begin later."""


def flip_steps(
    clock: type[SteppedClock], values: Iterable[JSONValue], test: Test
) -> tuple[int, ...]:
    """The steps of such a clock, in order, at whose beginning the test's answer changes."""
    near = {step for value in values for step in _steps_near(clock, _threshold(value))}
    return tuple(
        sorted(
            step for step in near if test(clock.at_step(step)) is not test(clock.at_step(step - 1))
        )
    )


def next_step(clock: SteppedClock, steps: Sequence[int], *, now: int) -> int | None:
    """The instant at which the first of these steps (in order) begins that lies after ``now``."""
    found = bisect_right(steps, now, key=clock.instant)
    return _in_time(clock.instant(steps[found])) if found < len(steps) else None


def _steps_near(clock: type[SteppedClock], number: float | None) -> Iterable[int]:
    if number is None or not abs(step := clock.step_of(number)) < END_OF_TIME:
        return ()
    # A comparison flips at the number or just behind it; the others cover rounding.
    return range(math.floor(step) - 2, math.floor(step) + 4)


def _threshold(value: JSONValue) -> float | None:
    """The number at which a clause with this value can flip: a number, or a date as ms."""
    try:
        return parse_instant(value)
    except OverflowError:
        return None
