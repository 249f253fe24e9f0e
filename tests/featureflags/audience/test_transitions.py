"""What changes by itself for a user: the moment, the segments, and the cause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featureflags.audience.transitions import next_transitions
from featureflags.contexts.attributes import attributes_of
from featureflags.core.types import MICROSECONDS_PER_DAY as DAY
from featureflags.core.types import JSONValue
from featureflags.kinds.registry import user_kind
from featureflags.segments.definitions import Clause, Rule, SegmentDefinition
from featureflags.segments.ruleset import Ruleset

NOW = 1_750_000_000_123_456
NINA = user_kind().snapshot_type(
    key="nina",
    email="nina@example.com",
    email_verified=False,
    name="Nina",
    role="user",
    is_staff=False,
    created_at=NOW - 2 * DAY,
    last_seen_at=NOW - DAY,
    groups=(),
    metadata={},
)


def on(attribute: str, op: str, *values: JSONValue, negate: bool = False) -> Clause:
    return Clause(attribute=attribute, op=op, values=values, negate=negate)


def segment(
    key: str,
    *rules: Iterable[Clause],
    included: Mapping[str, int | None] | None = None,
    excluded: Mapping[str, int | None] | None = None,
) -> SegmentDefinition:
    return SegmentDefinition(
        key=key,
        rules=tuple(Rule(clauses=tuple(clauses)) for clauses in rules),
        included=included or {},
        excluded=excluded or {},
    )


NEW = segment("new", [on("account_age_days", "lessThan", 7)])
OLD = segment("old", [on("account_age_days", "greaterThan", 30)])


def test_who_leaves_one_and_enters_another() -> None:
    first, second = next_transitions(Ruleset([NEW, OLD]), NINA, now=NOW, most=5)
    assert (first.at, first.entering, first.leaving) == (NOW + 5 * DAY, (), ("new",))
    assert (second.at, second.entering, second.leaving) == (NOW + 29 * DAY, ("old",), ())
    assert first.attributes == second.attributes == ("account_age_days",)
    assert first.memberships == ()


def test_a_date_that_moves() -> None:
    recent = segment("recent", [on("last_seen_at", "inLast", "P14D")])
    away = segment("away", [on("last_seen_at", "longerAgoThan", "P3M")])
    trial = segment("trial", [on("custom_trial_ends", "inNext", "P7D")])
    ruleset = Ruleset([recent, away, trial])
    nina = msgspec.structs.replace(NINA, metadata={"trial_ends": (NOW + 8 * DAY) / 1000})
    changes = next_transitions(ruleset, nina, now=NOW, most=5)
    assert [(change.entering, change.leaving, change.attributes) for change in changes] == [
        (("trial",), (), ("custom_trial_ends",)),
        ((), ("trial",), ("custom_trial_ends",)),
        ((), ("recent",), ("last_seen_at",)),
        (("away",), (), ("last_seen_at",)),
    ]
    assert [change.at for change in changes[:3]] == [NOW + DAY, NOW + 8 * DAY, NOW + 13 * DAY + 1]


def test_a_membership_that_ends() -> None:
    beta = segment("beta", included={"nina": NOW + DAY, "other": NOW + 1})
    [change] = next_transitions(Ruleset([beta]), NINA, now=NOW, most=5)
    assert (change.at, change.leaving, change.memberships) == (NOW + DAY, ("beta",), ("beta",))
    assert change.attributes == ()


def test_two_causes_at_one_moment() -> None:
    both = segment(
        "both", [on("account_age_days", "lessThan", 7)], excluded={"nina": NOW + 5 * DAY}
    )
    gone = segment("gone", [on("days_since_last_seen", "greaterThanOrEqual", 6)])
    [change] = next_transitions(Ruleset([NEW, both, gone]), NINA, now=NOW, most=5)
    assert change.attributes == ("account_age_days", "days_since_last_seen")
    assert change.memberships == ("both",)
    assert (change.entering, change.leaving) == (("gone",), ("new",))


def test_a_condition_that_flips_while_another_fails_is_not_a_change() -> None:
    hidden = segment("hidden", [on("account_age_days", "lessThan", 7), on("role", "in", "admin")])
    assert next_transitions(Ruleset([hidden]), NINA, now=NOW) == []
    [change] = next_transitions(Ruleset([hidden, OLD]), NINA, now=NOW)
    assert change.entering == ("old",)


def test_only_some_segments_are_asked_for() -> None:
    [change] = next_transitions(Ruleset([NEW, OLD]), NINA, now=NOW, segment_keys=["old"])
    assert change.entering == ("old",)
    nested = segment("nested", [on("", "segmentMatch", "new", negate=True)])
    [change] = next_transitions(Ruleset([NEW, OLD, nested]), NINA, now=NOW, segment_keys=["nested"])
    assert (change.entering, change.leaving) == (("nested",), ())


def test_nothing_changes_by_itself() -> None:
    still = segment("still", [on("role", "in", "user")])
    assert next_transitions(Ruleset([still]), NINA, now=NOW, most=5) == []
    assert next_transitions(Ruleset([]), NINA, now=NOW) == []


OPS = st.sampled_from(["lessThan", "greaterThanOrEqual", "in", "lessThanOrEqual"])
CLAUSES = st.builds(
    lambda name, op, value, negate: on(name, op, value, negate=negate),
    st.sampled_from(["account_age_days", "days_since_last_seen"]),
    OPS,
    st.integers(0, 12),
    st.booleans(),
)


@given(
    rules=st.lists(st.lists(CLAUSES, min_size=1, max_size=2), max_size=3), hours=st.integers(1, 480)
)
def test_between_two_changes_nothing_changes(rules: list[list[Clause]], hours: int) -> None:
    ruleset = Ruleset([segment("some", *rules)])
    changes = next_transitions(ruleset, NINA, now=NOW, most=50)
    at = NOW + hours * DAY // 24
    expected = "some" in ruleset.match(attributes_of(NINA, at), now=at)
    state = "some" in ruleset.match(attributes_of(NINA, NOW), now=NOW)
    for change in changes:
        if change.at <= at:
            assert change.entering or change.leaving
            state = bool(change.entering)
    assert state is expected


@pytest.mark.parametrize("most", [0, 1])
def test_at_most_as_many_as_were_asked_for(most: int) -> None:
    assert len(next_transitions(Ruleset([NEW, OLD]), NINA, now=NOW, most=most)) == most
