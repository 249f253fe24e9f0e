"""When answers change by themselves: never late, and to the microsecond."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from featureflags.core.site_calendar import use_zone
from featureflags.core.types import MICROSECONDS_PER_DAY as DAY
from featureflags.core.types import JSONValue
from featureflags.segments.definitions import Clause, Rule, SegmentDefinition
from featureflags.segments.next_change import next_change
from featureflags.segments.ruleset import Ruleset
from featureflags.segments.time_attributes import END_OF_TIME, Clock, CurrentTime, ElapsedDays
from tests.featureflags.segments.proof import SAMPLE

NOW = 1_750_000_000_123_456
AGE, SEEN, TIME = "account_age_days", "days_since_last_seen", "now"


def segment(
    key: str,
    *rules: tuple[Clause, ...],
    included: Mapping[str, int | None] | None = None,
    excluded: Mapping[str, int | None] | None = None,
) -> SegmentDefinition:
    return SegmentDefinition(
        key=key,
        rules=tuple(Rule(clauses=clauses) for clauses in rules),
        included=included or {},
        excluded=excluded or {},
    )


def on(attribute: str, op: str, *values: JSONValue, negate: bool = False) -> Clause:
    return Clause(attribute=attribute, op=op, values=values, negate=negate)


def named(key: str) -> Clause:
    return on("", "segmentMatch", key)


def answer(
    ruleset: Ruleset, clocks: Mapping[str, ElapsedDays | CurrentTime], at: int, **more: JSONValue
) -> frozenset[str]:
    values = {name: clock.value(at) for name, clock in clocks.items()}
    return ruleset.match({"key": "u1", **more, **values}, now=at)


@pytest.mark.parametrize(
    ("clause", "days"),
    [
        (on(AGE, "lessThan", 7), [7]),
        (on(AGE, "lessThan", 6.5), [7]),
        (on(AGE, "lessThanOrEqual", 7), [8]),
        (on(AGE, "greaterThan", 30), [31]),
        (on(AGE, "greaterThan", 30.5), [31]),
        (on(AGE, "greaterThanOrEqual", 30), [30]),
        (on(AGE, "in", 7), [7, 8]),
        (on(AGE, "in", 7, 8, "9"), [7, 9]),
        (on(AGE, "in", 7.5), []),
        (on(AGE, "lessThan", 7, 9, 3), [9]),
        (on(AGE, "greaterThan", 30, negate=True), [31]),
        (on(AGE, "lessThan", 0), []),
        (on(AGE, "greaterThan", -5), []),
        (on(AGE, "greaterThanOrEqual", 0), []),
        (on(AGE, "exists", True), []),
        (on(AGE, "contains", "7"), []),
        (on(AGE, "before", 7), [7]),
        (on(AGE, "greaterThan", 1e300), []),
        (on("other", "lessThan", 7), []),
    ],
)
def test_an_age_flips_at_the_very_instant(clause: Clause, days: list[int]) -> None:
    ruleset = Ruleset([segment("s", (clause,))])
    clock = ElapsedDays(since=NOW)
    at, found = NOW - 5, []
    while (instant := next_change(ruleset, {"key": "u1"}, {AGE: clock}, now=at)) is not None:
        before = answer(ruleset, {AGE: clock}, instant - 1)
        assert answer(ruleset, {AGE: clock}, instant) != before
        found.append((instant - NOW) / DAY)
        at = instant
    assert found == days


def test_only_clauses_whose_outcome_can_flip_count() -> None:
    ruleset = Ruleset([segment("s", (on(AGE, "lessThan", 7),))])
    clocks = {AGE: ElapsedDays(since=NOW), SEEN: ElapsedDays(since=NOW)}
    assert next_change(ruleset, {"key": "u1"}, clocks, now=NOW) == NOW + 7 * DAY
    assert next_change(ruleset, {"key": "u1"}, {SEEN: clocks[SEEN]}, now=NOW) is None


def test_an_instant_in_the_future_never_gives_a_negative_age() -> None:
    ruleset = Ruleset([segment("s", (on(AGE, "lessThan", 1),))])
    clock = ElapsedDays(since=NOW + 3 * DAY)
    assert clock.value(NOW) == 0
    assert next_change(ruleset, {"key": "u1"}, {AGE: clock}, now=NOW) == NOW + 4 * DAY
    assert clock.next_change(NOW) == NOW + 4 * DAY


def test_a_date_flips_to_the_microsecond() -> None:
    ruleset = Ruleset(
        [
            segment("after", (on(TIME, "after", "2025-07-01T00:00:00.000001Z"),)),
            segment("before", (on(TIME, "before", "2025-07-01T00:00:00.000007+00:00"),)),
        ]
    )
    start = 1_751_328_000_000_000
    clocks = {TIME: CurrentTime()}
    assert next_change(ruleset, {"key": "u1"}, clocks, now=NOW) == start + 2
    assert next_change(ruleset, {"key": "u1"}, clocks, now=start + 2) == start + 7
    assert next_change(ruleset, {"key": "u1"}, clocks, now=start + 7) is None
    for at in (start + 2, start + 7):
        assert answer(ruleset, clocks, at) != answer(ruleset, clocks, at - 1)


def test_memberships_end() -> None:
    ruleset = Ruleset(
        [
            segment("s", included={"u1": NOW + 5, "u2": NOW + 1}, excluded={"u1": NOW + 9}),
            segment("t", included={"u1": NOW + 7, "u3": None}),
            segment("past", included={"u1": NOW}),
        ]
    )
    assert next_change(ruleset, {"key": "u1"}, {}, now=NOW) == NOW + 5
    assert next_change(ruleset, {"key": "u1"}, {}, now=NOW + 5) == NOW + 7
    assert next_change(ruleset, {"key": "u1"}, {}, now=NOW + 7) == NOW + 9
    assert next_change(ruleset, {"key": "u1"}, {}, now=NOW + 9) is None
    assert next_change(ruleset, {"key": "u3"}, {}, now=NOW) is None
    assert (
        next_change(ruleset, {"key": "u1"}, {}, now=NOW, segment_keys=["t", "unknown"]) == NOW + 7
    )


def test_segments_inside_segments_count() -> None:
    ruleset = Ruleset(
        [
            segment("outer", (named("inner"),)),
            segment("inner", (on(AGE, "lessThan", 7),), included={"u1": NOW + 8 * DAY}),
            segment("other", (on(AGE, "lessThan", 1),)),
        ]
    )
    clocks = {AGE: ElapsedDays(since=NOW)}

    def ask(now: int, *keys: str) -> int | None:
        return next_change(ruleset, {"key": "u1"}, clocks, now=now, segment_keys=keys)

    assert ask(NOW, "outer") == NOW + 7 * DAY
    assert ask(NOW + 7 * DAY, "outer") == NOW + 8 * DAY
    assert ask(NOW, "other", "outer") == NOW + DAY
    assert ask(NOW) is None


def test_a_projects_own_clock_counts_where_a_clause_reads_it() -> None:
    class Trial:
        def next_change(self, now: int) -> int | None:
            return now + 42

    clock: Clock = Trial()
    ruleset = Ruleset([segment("s", (on("trial", "in", "ending"),)), segment("t", (named("s"),))])
    assert next_change(ruleset, {"key": "u1"}, {"trial": clock}, now=NOW) == NOW + 42
    assert next_change(ruleset, {"key": "u1"}, {"other": clock}, now=NOW) is None
    asked = next_change(ruleset, {"key": "u1"}, {"trial": clock}, now=NOW, segment_keys=["t"])
    assert asked == NOW + 42


def test_time_ends() -> None:
    ruleset = Ruleset([segment("s", (on(AGE, "lessThan", 10**7),))])
    assert next_change(ruleset, {"key": "u1"}, {AGE: ElapsedDays(since=NOW)}, now=NOW) is None
    assert CurrentTime().next_change(END_OF_TIME) is None


_numeric = st.sampled_from(
    ["lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual", "in"]
)
_days = st.one_of(st.integers(-1, 12), st.sampled_from([0.5, 6.999, 7.0, "7", True]))
_offsets = st.integers(-3 * DAY, 12 * DAY)
_clock_clauses = st.one_of(
    st.builds(
        lambda name, op, values, negate: on(name, op, *values, negate=negate),
        st.sampled_from([AGE, SEEN]),
        _numeric,
        st.lists(_days, min_size=1, max_size=2),
        st.booleans(),
    ),
    st.builds(
        lambda op, offset, negate: on(TIME, op, (NOW + offset) / 1000, negate=negate),
        st.sampled_from(["before", "after"]),
        _offsets,
        st.booleans(),
    ),
    st.builds(lambda value: on("plan", "in", value), st.sampled_from(["pro", "free"])),
)
_members = st.dictionaries(
    st.sampled_from(["u1", "u2"]), st.one_of(st.none(), _offsets.map(lambda by: NOW + by))
)


def _segments(key: str, extra: st.SearchStrategy[Clause]) -> st.SearchStrategy[SegmentDefinition]:
    rules = st.lists(
        st.lists(st.one_of(extra, _clock_clauses), min_size=1, max_size=2).map(
            lambda clauses: Rule(clauses=tuple(clauses))
        ),
        max_size=2,
    ).map(tuple)
    return st.builds(
        lambda found, included, excluded: SegmentDefinition(
            key=key, rules=found, included=included, excluded=excluded
        ),
        rules,
        _members,
        _members,
    )


@SAMPLE
@given(
    st.tuples(
        _segments("s1", _clock_clauses),
        _segments("s2", st.just(named("s1"))),
        _segments("s3", st.just(named("s2"))),
    ),
    st.integers(-12 * DAY, DAY),
    st.integers(-12 * DAY, DAY),
    st.lists(st.floats(0, 1), min_size=3, max_size=3),
    st.one_of(st.none(), st.sets(st.sampled_from(["s1", "s2", "s3"]))),
)
def test_before_that_instant_no_answer_changes(
    found: tuple[SegmentDefinition, ...],
    created: int,
    seen: int,
    shares: list[float],
    keys: set[str] | None,
) -> None:
    ruleset = Ruleset(found)
    clocks: dict[str, ElapsedDays | CurrentTime] = {
        AGE: ElapsedDays(since=NOW + created),
        SEEN: ElapsedDays(since=NOW + seen),
        TIME: CurrentTime(),
    }
    asked = ruleset.definitions.keys() if keys is None else keys
    at, steps = NOW, 0
    while True:
        instant = next_change(ruleset, {"key": "u1"}, clocks, now=at, segment_keys=keys)
        until = instant if instant is not None else at + 40 * DAY
        assert until > at
        first = answer(ruleset, clocks, at, plan="pro") & asked
        for moment in (at + 1, until - 1, *(at + int(share * (until - at)) for share in shares)):
            if at <= moment < until:
                assert answer(ruleset, clocks, moment, plan="pro") & asked == first
        if instant is None:
            break
        event(
            "a change"
            if answer(ruleset, clocks, instant, plan="pro") & asked != first
            else "a hidden flip"
        )
        at, steps = instant, steps + 1
        assert steps < 200
    event(f"{min(steps, 3)} or more changes")


def test_it_lies_ahead_at_the_end_of_the_calendar_too() -> None:
    """East of Greenwich it is the year 10000 there."""
    use_zone("Africa/Casablanca")
    try:
        rules = Ruleset([segment("s", (on("a", "within", "thisMonth"),))])
        last: dict[str, JSONValue] = {"a": "9999-12-31T23:59:59Z"}
        begins = next_change(rules, last, {}, now=NOW)
        assert begins is not None
        assert next_change(rules, last, {}, now=begins) is None
    finally:
        use_zone("UTC")
