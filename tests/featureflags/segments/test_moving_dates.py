"""Dates that move: what they mean, and that each turns at the very instant that is foretold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from featureflags.core.site_calendar import use_zone
from featureflags.core.times import to_datetime, to_microseconds, to_rfc3339
from featureflags.core.types import MICROSECONDS_PER_DAY as DAY
from featureflags.core.types import JSONValue
from featureflags.segments.definitions import Clause, Rule, SegmentDefinition
from featureflags.segments.explain import explain
from featureflags.segments.formatting import words
from featureflags.segments.next_change import next_change
from featureflags.segments.ruleset import Ruleset
from featureflags.segments.time_attributes import Clock, CurrentTime, ElapsedDays
from tests.featureflags.core.test_site_calendar import ZONES, instants
from tests.featureflags.segments.proof import PROOF

BERLIN = "Europe/Berlin"


@pytest.fixture(autouse=True)
def zone_of_others() -> Iterator[None]:
    use_zone(BERLIN)
    yield
    use_zone("UTC")


def at(text: str, zone: str = BERLIN) -> int:
    return to_microseconds(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def ruleset_of(clause: Clause) -> Ruleset:
    return Ruleset([SegmentDefinition(key="s", rules=(Rule(clauses=(clause,)),))])


def holds(op: str, wanted: JSONValue, value: JSONValue, now: int) -> bool:
    values = tuple(wanted) if isinstance(wanted, list) else (wanted,)
    clause = Clause(attribute="a", op=op, values=values)
    ruleset, attributes = ruleset_of(clause), {"key": "u", "a": value}
    found = ruleset.matches("s", attributes, now=now)
    assert ("s" in ruleset.match(attributes, now=now)) is found
    assert explain(ruleset, "s", attributes, now=now).verdict is found
    return found


NOW = "2026-11-26T12:00"


@pytest.mark.parametrize(
    ("op", "wanted", "value", "expected"),
    [
        ("inLast", "P14D", "2026-11-12T12:00", True),
        ("inLast", "P14D", "2026-11-12T11:59:59.999999", False),
        ("inLast", "P14D", NOW, True),
        ("inLast", "P14D", "2026-11-26T12:00:00.000001", False),
        ("inLast", "PT36H", "2026-11-25T00:00", True),
        ("inLast", "P2W", "2026-11-12T11:59", False),
        ("inLast", "P1M", "2026-10-26T12:00", True),
        ("inLast", "P1M", "2026-10-26T11:59", False),
        ("inLast", "P1Y", "2025-11-26T12:00", True),
        ("inLast", ["P1D", "P3D"], "2026-11-24T12:00", True),
        # The clock went back on 25 October: a day has 24 hours all the same.
        ("inLast", "P40D", "2026-10-17T13:00", True),
        ("inLast", "P40D", "2026-10-17T12:59", False),
        ("longerAgoThan", "P14D", "2026-11-12T12:00", False),
        ("longerAgoThan", "P14D", "2026-11-12T11:59:59.999999", True),
        ("inNext", "P7D", NOW, False),
        ("inNext", "P7D", "2026-11-26T12:00:00.000001", True),
        ("inNext", "P7D", "2026-12-03T12:00", True),
        ("inNext", "P7D", "2026-12-03T12:00:00.000001", False),
        ("inNext", "P1M", "2026-12-26T12:00", True),
        ("within", "thisDay", "2026-11-26T00:00", True),
        ("within", "thisDay", "2026-11-26T23:59:59.999999", True),
        ("within", "thisDay", "2026-11-27T00:00", False),
        ("within", "lastDay", "2026-11-25T00:00", True),
        ("within", "thisWeek", "2026-11-23T00:00", True),
        ("within", "thisWeek", "2026-11-22T23:59", False),
        ("within", "thisWeek", "2026-11-29T23:59", True),
        ("within", "lastWeek", "2026-11-16T00:00", True),
        ("within", "thisMonth", "2026-11-01T00:00", True),
        ("within", "lastMonth", "2026-10-31T23:59", True),
        ("within", "lastMonth", "2026-11-01T00:00", False),
        ("within", "thisQuarter", "2026-10-01T00:00", True),
        ("within", "lastQuarter", "2026-07-01T00:00", True),
        ("within", "lastQuarter", "2026-10-01T00:00", False),
        ("within", "thisYear", "2026-12-31T23:59", True),
        ("within", "lastYear", "2025-01-01T00:00", True),
        ("onDayOfYear", "today", "1990-11-26T23:30", True),
        ("onDayOfYear", "today", "1990-11-27T00:00", False),
        ("onDayOfYear", "12-24", "1990-12-24T18:00", True),
        ("onDayOfYear", "12-24", "1990-12-25T00:00", False),
    ],
)
def test_what_they_mean(op: str, wanted: JSONValue, value: str, expected: bool) -> None:
    stored = to_rfc3339(at(value))
    assert holds(op, wanted, stored, at(NOW)) is expected
    # In a list, as an instant with another offset, and as milliseconds where they are whole.
    assert holds(op, wanted, ["x", stored], at(NOW)) is expected
    elsewhere = to_datetime(at(value)).astimezone(ZoneInfo("Asia/Kathmandu")).isoformat()
    assert holds(op, wanted, elsewhere, at(NOW)) is expected
    if at(value) % 1000 == 0:
        assert holds(op, wanted, at(value) // 1000, at(NOW)) is expected
        assert holds(op, wanted, at(value) / 1000, at(NOW)) is expected


def test_between_has_its_beginning_and_not_its_end() -> None:
    wanted: list[JSONValue] = ["2026-01-01T00:00:00+01:00", "2026-02-01T00:00:00+01:00"]
    for value, expected in (
        ("2026-01-01T00:00", True),
        ("2025-12-31T23:59:59.999999", False),
        ("2026-01-31T23:59:59.999999", True),
        ("2026-02-01T00:00", False),
    ):
        assert holds("between", wanted, to_rfc3339(at(value)), at(NOW)) is expected


@pytest.mark.parametrize("value", ["2026-11-01", "2026-11-01T00:00:00-00:00"])
def test_a_date_without_a_time_is_a_day_of_the_site(value: str) -> None:
    for zone in ZONES:
        use_zone(zone)
        assert holds("within", "thisMonth", value, at(NOW, zone))
        assert not holds("within", "lastMonth", value, at(NOW, zone))
        assert holds("onDayOfYear", "11-01", value, at(NOW, zone))
        assert holds("onDayOfYear", "today", value, at("2027-11-01T00:00", zone))
        assert not holds("onDayOfYear", "today", value, at("2027-10-31T23:59:59", zone))


@pytest.mark.parametrize(
    ("born", "today", "expected"),
    [
        ("2004-02-29", "2028-02-29", True),
        ("2004-02-29", "2028-02-28", False),
        ("2004-02-29", "2027-02-28", True),
        ("2004-02-29", "2027-03-01", False),
        ("2003-02-28", "2027-02-28", True),
        ("2003-02-28", "2028-02-28", True),
        ("2003-02-28", "2028-02-29", False),
        ("2003-03-01", "2027-02-28", False),
    ],
)
def test_whoever_was_born_on_29_february_has_a_birthday_each_year(
    born: str, today: str, expected: bool
) -> None:
    assert holds("onDayOfYear", "today", born, at(f"{today}T09:00")) is expected


@pytest.mark.parametrize("value", ["x", "2026-13-01", True, {}, "", None, "12:00", float("nan")])
def test_what_is_no_date_never_matches(value: JSONValue) -> None:
    for op, wanted in (("inLast", "P9999Y"), ("longerAgoThan", "PT1H"), ("within", "thisYear")):
        assert not holds(op, wanted, value, at(NOW))
        clause = Clause(attribute="a", op=op, values=(wanted,), negate=True)
        found = ruleset_of(clause).matches("s", {"a": value}, now=at(NOW))
        assert found is (value is not None)


def test_a_number_beyond_a_double_matches_neither_way() -> None:
    for negate in (False, True):
        clause = Clause(attribute="a", op="inLast", values=("P1D",), negate=negate)
        assert not ruleset_of(clause).matches("s", {"a": 10**400}, now=0)
        assert next_change(ruleset_of(clause), {"a": 10**400}, {}, now=0) is None


def test_they_are_said_in_words() -> None:
    def said(op: str, *values: JSONValue, negate: bool = False) -> str:
        return words(Clause(attribute="seen", op=op, values=values, negate=negate))

    assert said("inLast", "P14D") == "seen is in the last 14 days"
    assert said("inLast", "PT1H") == "seen is in the last 1 hour"
    assert said("longerAgoThan", "P3M") == "seen is longer ago than 3 months"
    assert said("within", "thisMonth", "lastDay") == "seen is within this month or yesterday"
    assert said("onDayOfYear", "today") == "seen is on the same day of the year as today"
    assert said("onDayOfYear", "12-24", negate=True) == (
        "seen is not on the same day of the year as 24 December"
    )
    assert said("inNext", "soon") == 'seen is in the next "soon"'


_clauses = st.builds(
    lambda op_and_values, negate: Clause(
        attribute="a", op=op_and_values[0], values=tuple(op_and_values[1]), negate=negate
    ),
    st.one_of(
        st.tuples(
            st.sampled_from(["inLast", "inNext", "longerAgoThan"]),
            st.lists(
                st.sampled_from(["PT1H", "PT36H", "P1D", "P14D", "P2W", "P1M", "P13M", "P1Y"]),
                min_size=1,
                max_size=2,
            ),
        ),
        st.tuples(
            st.just("within"),
            st.lists(
                st.sampled_from(
                    [
                        f"{which}{unit}"
                        for which in ("this", "last")
                        for unit in ("Day", "Week", "Month", "Quarter", "Year")
                    ]
                ),
                min_size=1,
                max_size=2,
            ),
        ),
        st.tuples(
            st.just("onDayOfYear"), st.sampled_from([["today"], ["02-29"], ["today", "12-24"]])
        ),
        st.builds(
            lambda begin, length: ("between", [to_rfc3339(begin), to_rfc3339(begin + length)]),
            instants,
            st.integers(1, 90 * DAY),
        ),
    ),
    st.booleans(),
)
_near = st.one_of(st.integers(-2 * DAY, 2 * DAY), st.integers(-500 * DAY, 500 * DAY))


@PROOF
@given(
    zone=st.sampled_from(ZONES),
    clause=_clauses,
    now=instants,
    by=_near,
    form=st.sampled_from(["text", "milliseconds", "date", "list", "clock", "days"]),
    shares=st.lists(st.floats(0, 1), min_size=6, max_size=6),
)
def test_each_turns_at_the_very_instant_that_is_foretold(
    zone: str, clause: Clause, now: int, by: int, form: str, shares: list[float]
) -> None:
    use_zone(zone)
    value, clock = value_in(form, now, by)
    clocks: dict[str, Clock] = {} if clock is None else {"a": clock}
    ruleset = ruleset_of(clause)

    def attributes(instant: int) -> dict[str, JSONValue]:
        return {"a": value if clock is None else clock.value(instant)}

    def answer(instant: int) -> bool:
        return ruleset.matches("s", attributes(instant), now=instant)

    # Nothing hides a change of a lone value, so that it is the instant itself. Apia left a day out.
    is_alone = len(clause.values) == 1 and form in {"text", "date"} and zone != "Pacific/Apia"
    moment = now
    for _ in range(4):
        change = next_change(ruleset, attributes(moment), clocks, now=moment)
        until = moment + 1200 * DAY if change is None else change
        assert until > moment
        before = answer(moment)
        between = [moment + int(share * (until - moment)) for share in shares]
        for instant in (min(moment + 1, until - 1), until - 1, *between):
            assert answer(min(instant, until - 1)) is before, to_rfc3339(instant)
        if change is None:
            event("never again")
            break
        event("a change" if answer(change) is not before else "a hidden one")
        assert not is_alone or answer(change) is not before, to_rfc3339(change)
        moment = change


def value_in(form: str, now: int, by: int) -> tuple[JSONValue, CurrentTime | ElapsedDays | None]:
    """A date near `now`, or a clock for it."""
    clocks: dict[str, CurrentTime | ElapsedDays] = {
        "clock": CurrentTime(),
        "days": ElapsedDays(since=now + by),
    }
    values: dict[str, JSONValue] = {
        "text": to_rfc3339(now + by),
        "milliseconds": (now + by) / 1000,
        "date": to_datetime(now + by).date().isoformat(),
        "list": [to_rfc3339(now + by), to_rfc3339(now - by), "x"],
    }
    return values.get(form), clocks.get(form)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("months", [1, 2, 11, 12, 25])
def test_months_turn_at_the_very_instant_near_each_end_of_a_month(zone: str, months: int) -> None:
    use_zone(zone)
    clause = Clause(attribute="a", op="inLast", values=(f"P{months}M",))
    ruleset = ruleset_of(clause)
    for month in range(1, 13):
        for day, hour in ((1, 0), (27, 23), (28, 2), (28, 23)):
            for extra in range(0, 5 * DAY, DAY // 2 + 1):
                value = to_microseconds(datetime(2027, month, day, hour, tzinfo=UTC)) + extra
                attributes: dict[str, JSONValue] = {"a": to_rfc3339(value)}
                change = next_change(ruleset, attributes, {}, now=value)
                assert change is not None
                assert ruleset.matches("s", attributes, now=change - 1)
                assert not ruleset.matches("s", attributes, now=change)
