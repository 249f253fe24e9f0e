"""A clock that a test sets: what changes by itself is tried at the very instant, and without a wait."""

from __future__ import annotations

import datetime
import time

import pytest
from django.utils import timezone

from featureflags.cache import unit_of_work
from featureflags.core.times import to_datetime, to_microseconds


class Clock:
    """What `now_in_microseconds` and Django's `now` return. The clocks of servers and caches go on."""

    def __init__(self) -> None:
        self.microseconds = to_microseconds(timezone.now())

    @property
    def now(self) -> datetime.datetime:
        return to_datetime(self.microseconds)

    def set(self, instant: datetime.datetime | int) -> None:
        """To an aware datetime, or to microseconds since the epoch."""
        self.microseconds = instant if isinstance(instant, int) else to_microseconds(instant)

    def forward(self, seconds: float) -> None:
        self.microseconds += round(seconds * 1e6)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time stops at the beginning of the test, until it sets another."""
    found = Clock()

    def time_ns() -> int:
        return found.microseconds * 1000

    monkeypatch.setattr(time, "time_ns", time_ns)
    monkeypatch.setattr(unit_of_work, "time_ns", time_ns)
    monkeypatch.setattr(timezone, "now", lambda: found.now)
    return found
