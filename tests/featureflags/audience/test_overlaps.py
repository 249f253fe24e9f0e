"""How segments overlap: the same numbers as judging each user by hand."""

from __future__ import annotations

import itertools

import pytest

from featureflags.audience import AudienceFilter, SegmentAudience
from featureflags.audience.overlaps import NotComparable, combination, overlap_of, places
from featureflags.audience.sets import made_of, with_segments
from featureflags.cache.compiled_rules import current_ruleset
from featureflags.contexts.attributes import attributes_of
from featureflags.core.times import now_in_microseconds
from featureflags.kinds.registry import user_kind
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule

pytestmark = pytest.mark.django_db

KEYS = ("paying", "germans", "named")


@pytest.fixture(autouse=True)
def segments() -> None:
    plans, countries = ("pro", "free", "team"), ("DE", "FR")
    for plan, country in itertools.product(plans, countries):
        UserFactory.create(metadata={"plan": plan, "country": country})
    # Python decides for this one: SQL has no such expression.
    SegmentFactory.create(
        key="paying", rules=[rule(clause("custom_plan", "matches", "^(pro|team)$"))]
    )
    SegmentFactory.create(key="germans", rules=[rule(clause("custom_country", "in", "DE"))])
    named = SegmentFactory.create(key="named")
    for user in user_kind().rows().filter(metadata__plan="free"):
        SegmentMemberFactory.create(segment=named, user=user)


@pytest.mark.parametrize("number", [2, 3])
def test_each_combination_is_counted_as_the_engine_judges(number: int) -> None:
    ruleset, now, keys = current_ruleset().ruleset, now_in_microseconds(), KEYS[:number]
    expected = dict.fromkeys(places(number), 0)
    for row in user_kind().snapshots(user_kind().rows()):
        attributes = attributes_of(row, now)
        expected[tuple(ruleset.matches(key, attributes, now=now) for key in keys)] += 1
    found = overlap_of(ruleset, keys, now=now)
    assert found.counts == expected
    assert found.is_exact
    assert (found.rows, found.size("paying"), found.shared("paying", "germans")) == (6, 4, 2)
    assert overlap_of(ruleset, keys, now=now, seconds=30) == found


def test_the_people_of_a_combination_are_listed() -> None:
    ruleset, now = current_ruleset().ruleset, now_in_microseconds()
    found = overlap_of(ruleset, KEYS, now=now)
    for place in places(3)[:-1]:
        part = with_segments(ruleset, combination("~part", KEYS, place, kind="user"))
        audience = SegmentAudience(part, "~part", now=now, wanted=AudienceFilter())
        assert len(list(audience.everyone())) == found.counts[place], place


def test_one_within_another_is_seen() -> None:
    SegmentFactory.create(
        key="rich",
        rules=[rule(clause("custom_plan", "in", "pro"), clause("custom_country", "in", "DE"))],
    )
    found = overlap_of(current_ruleset().ruleset, ["rich", "germans"])
    assert found.is_within("rich", "germans")
    assert not found.is_within("germans", "rich")


def test_time_that_is_up_leaves_lower_bounds() -> None:
    found = overlap_of(current_ruleset().ruleset, KEYS, seconds=0)
    assert not found.is_exact


@pytest.mark.parametrize(
    "keys", [["paying"], ["paying", "paying"], ["paying", "gone"], [*KEYS, "x"]]
)
def test_what_cannot_be_compared_is_refused(keys: list[str]) -> None:
    with pytest.raises(NotComparable):
        overlap_of(current_ruleset().ruleset, keys)


def test_any_of_several_and_none_of_others() -> None:
    ruleset = current_ruleset().ruleset
    both = made_of("~x", within=[["paying", "named"], ["germans"]], outside=["named"])
    audience = SegmentAudience(
        with_segments(ruleset, both), "~x", now=now_in_microseconds(), wanted=AudienceFilter()
    )
    plans = {member.user.metadata["plan"] for member in audience.everyone()}
    assert plans == {"pro", "team"}
