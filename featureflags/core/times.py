"""Instants: datetimes at the edge, integer microseconds since the epoch (UTC) inside."""

from __future__ import annotations

import datetime
import time
from functools import lru_cache

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MICROSECOND = datetime.timedelta(microseconds=1)


FIRST = (datetime.datetime.min.replace(tzinfo=datetime.UTC) - EPOCH) // MICROSECOND
LAST = (datetime.datetime.max.replace(tzinfo=datetime.UTC) - EPOCH) // MICROSECOND


def to_microseconds(instant: datetime.datetime) -> int:
    """An aware datetime as microseconds since the epoch, exactly."""
    return (instant - EPOCH) // MICROSECOND


def to_datetime(microseconds: int) -> datetime.datetime:
    """Microseconds since the epoch as an aware datetime in UTC, exactly."""
    return EPOCH + datetime.timedelta(microseconds=microseconds)


def now_in_microseconds() -> int:
    return time.time_ns() // 1000


def parse_rfc3339(text: str) -> datetime.datetime | None:
    """The instant of an RFC 3339 text with an offset; None if it is not one.

    The texts are those of Python's ``datetime.fromisoformat``: a space for the T, a lower-case z and
    ``+0000`` are accepted; a bare date or a missing offset is not.
    """
    if text[-1:] in {"z", "Z"}:
        text = text[:-1] + "+00:00"
    try:
        instant = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if instant.tzinfo is None else instant


def to_plain_date(microseconds: int) -> str:
    """The midnight in UTC that stands for a date without a time, as rules and LaunchDarkly read it.

    RFC 3339 has `-00:00` for a time without a place, which distinguishes the date from an instant.
    """
    return to_rfc3339(microseconds).replace("Z", "-00:00")


@lru_cache(4096)
def to_rfc3339(microseconds: int) -> str:
    """The instant as LaunchDarkly reads dates: RFC 3339 in UTC, to the microsecond.

    An instant beyond the calendar is the last, or the first, that it has.
    """
    instant = to_datetime(min(max(microseconds, FIRST), LAST)).replace(tzinfo=None)
    return instant.isoformat(timespec="microseconds" if instant.microsecond else "seconds") + "Z"
