"""The site's days and months: they never go back, whatever the clock does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from featureflags.core.site_calendar import SiteCalendar, site_calendar, use_zone
from featureflags.core.times import to_datetime, to_microseconds
from tests.featureflags.segments.proof import SAMPLE

ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "Pacific/Apia"),
    *("America/Havana", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe"),
    *("Africa/Casablanca", "Antarctica/Troll"),
)
"""St John's turned its clocks at 0:01, Havana and São Paulo turn or turned them at midnight, Apia left out
30 December 2011, Lord Howe turns them by half an hour, Troll by two; Casablanca has its winter time in Ramadan."""

CALENDARS = {zone: SiteCalendar(ZoneInfo(zone)) for zone in ZONES}

FIRST, LAST = to_microseconds(datetime(1950, 1, 1, tzinfo=UTC)), 2_500_000_000_000_000
instants = st.one_of(
    st.integers(FIRST, LAST),
    # Near the changes of the clock in all of these zones.
    st.builds(
        lambda year, month, day, minutes: (
            to_microseconds(datetime(year, month, day, tzinfo=UTC)) + minutes * 60_000_000
        ),
        st.integers(1995, 2030),
        st.sampled_from([3, 10, 11, 12]),
        st.integers(1, 31).map(lambda day: min(day, 30)),
        st.integers(0, 1439),
    ),
)


@pytest.fixture
def site_zone() -> Iterator[None]:
    yield
    use_zone("UTC")


def instant(text: str, zone: str) -> int:
    return to_microseconds(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


@SAMPLE
@given(st.sampled_from(ZONES), instants)
def test_a_day_holds_its_instants(zone: str, at: int) -> None:
    calendar = CALENDARS[zone]
    day = calendar.day(at)
    assert calendar.start(day) <= at < calendar.start(day + 1)
    named = to_datetime(at).astimezone(ZoneInfo(zone)).date().toordinal()
    # Where midnight strikes twice, the day has begun with the first stroke.
    assert day - named in {0, 1}
    if day != named:
        assert at - calendar.start(day) <= 2 * 3_600_000_000


@SAMPLE
@given(st.sampled_from(ZONES), instants, st.integers(0, 400 * 86_400_000_000), st.integers(-60, 60))
def test_months_never_go_back(zone: str, at: int, later: int, months: int) -> None:
    calendar = CALENDARS[zone]
    assert calendar.shift(at, months) <= calendar.shift(at + later, months)
    assert calendar.shift(at, months) <= calendar.shift(at + 1, months)
    assert (calendar.shift(at, months) > at) is (months > 0)


@pytest.mark.parametrize(
    ("before", "months", "after"),
    [
        ("2026-05-17T09:30", 1, "2026-06-17T09:30"),
        ("2026-05-17T09:30", -12, "2025-05-17T09:30"),
        ("2026-03-31T09:30", -1, "2026-03-01T00:00"),
        ("2024-03-29T09:30", -1, "2024-02-29T09:30"),
        ("2026-03-28T09:30", -1, "2026-02-28T09:30"),
        ("2026-01-31T09:30", 1, "2026-03-01T00:00"),
        ("2024-02-29T09:30", 12, "2025-03-01T00:00"),
        ("2026-10-31T23:30", 13, "2027-12-01T00:00"),
        # The clock moves in between.
        ("2026-02-28T09:30", 1, "2026-03-28T09:30"),
        ("2026-03-28T09:30", 1, "2026-04-28T09:30"),
        ("2026-11-26T12:00", -1, "2026-10-26T12:00"),
    ],
)
def test_a_month_later_it_is_as_late(before: str, months: int, after: str) -> None:
    zone = "Europe/Berlin"
    assert CALENDARS[zone].shift(instant(before, zone), months) == instant(after, zone)


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        ("Europe/Berlin", "2026-07-01", "2026-06-30T22:00:00+00:00"),
        # The clock goes from 24:00 to 1:00.
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00+00:00"),
        # 0:00 strikes twice.
        ("America/Havana", "2026-11-01", "2026-11-01T04:00:00+00:00"),
        # There was no such day.
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00+00:00"),
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00+00:00"),
    ],
)
def test_a_day_begins_at_its_first_instant(zone: str, day: str, start: str) -> None:
    ordinal = datetime.fromisoformat(day).toordinal()
    assert CALENDARS[zone].start(ordinal) == to_microseconds(datetime.fromisoformat(start))


@pytest.mark.parametrize(
    "at", [-(10**18), 10**18, -62_135_596_800_000_000, 253_402_300_799_999_999]
)
@pytest.mark.parametrize("zone", ZONES)
def test_nothing_raises_beyond_the_calendar(zone: str, at: int) -> None:
    calendar = CALENDARS[zone]
    assert calendar.start(calendar.day(at)) <= at
    assert calendar.shift(at, 1) is not None
    assert calendar.shift(at, -120_000) is not None


def test_the_zone_is_that_of_the_settings(site_zone: None) -> None:
    with override_settings(TIME_ZONE="Asia/Tokyo"):
        assert str(site_calendar().zone) == "Asia/Tokyo"
    assert str(site_calendar().zone) == "UTC"
