"""What users get of each flag before and after a change, by the real SDK."""

from __future__ import annotations

import pytest

from featureflags.editing import (
    FlagEffects,
    change_to,
    deletion_of,
    examine,
    flag_effects,
    membership_change,
)
from featureflags.evaluation import looking, variation
from featureflags.models import Segment
from featureflags.models.changesets import MemberState
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.services.flag_json import boolean_flag, flag, segment_rule
from users.models import User

pytestmark = pytest.mark.django_db

PRO = [rule(clause("custom_plan", "in", "pro"))]
TEAM = [rule(clause("custom_plan", "in", "team"))]


@pytest.fixture
def paying(flag_file: FlagFile) -> Segment:
    for number in range(3):
        UserFactory.create(email=f"pro{number}@example.com", metadata={"plan": "pro"})
        UserFactory.create(email=f"team{number}@example.com", metadata={"plan": "team"})
    for number in range(4):
        UserFactory.create(email=f"free{number}@example.com")
    colour = flag(
        "colour",
        ["red", "blue"],
        on=True,
        fallthrough=1,
        off_variation=1,
        rules=[segment_rule("through")],
    )
    off = boolean_flag("off", on=False, rules=[segment_rule("paying")])
    flag_file(boolean_flag("checkout", rules=[segment_rule("paying")]), colour, off)
    segment: Segment = SegmentFactory.create(key="paying", rules=PRO)
    SegmentFactory.create(key="through", rules=[rule(clause("", "segmentMatch", "paying"))])
    return segment


def said(found: FlagEffects | None) -> dict[str, list[tuple[str, str, int]]]:
    assert found is not None
    return {
        each.flag: [
            (one.before.strip("\u2068\u2069"), one.after.strip("\u2068\u2069"), one.count)
            for one in each.changes
        ]
        for each in found.flags
    }


def test_each_flag_that_uses_it_also_through_another_segment(paying: Segment) -> None:
    paying.rules = TEAM
    found = flag_effects(examine(change_to(paying)), sees=["user"])
    assert said(found) == {
        "checkout": [("false", "true", 3), ("true", "false", 3)],
        "colour": [('"blue"', '"red"', 3), ('"red"', '"blue"', 3)],
        "off": [],
    }
    assert found is not None
    assert (found.asked, found.is_all) == (6, True)
    assert found.words == "All 6 who move were asked about."
    titles = {person.title for person in found.flags[0].changes[0].people}
    assert titles == {f"team{number}@example.com" for number in range(3)}


def test_the_numbers_are_those_of_the_sdk_after_the_save(paying: Segment) -> None:
    def values() -> dict[str, tuple[object, object]]:
        with looking():
            return {
                user.email: (variation("checkout", user), variation("colour", user))
                for user in User.objects.all()
            }

    before = values()
    paying.rules = TEAM
    found = said(flag_effects(examine(change_to(paying))))
    paying.save()
    after = values()
    moved = [(before[each][0], after[each][0]) for each in before if before[each] != after[each]]
    assert sum(count for _old, _new, count in found["checkout"]) == len(moved)


def test_a_deletion_and_a_member_by_name(paying: Segment) -> None:
    found = flag_effects(examine(deletion_of(paying)))
    assert said(found)["checkout"] == [("true", "false", 3)]
    guest = User.objects.get(email="free0@example.com")
    state = MemberState(kind="include", reason="", expires_at=None)
    found = flag_effects(examine(membership_change(paying, {str(guest.pk): state})))
    assert said(found)["checkout"] == [("false", "true", 1)]
    assert found is not None
    assert found.words == "The one who moves was asked about."


def test_without_people_there_are_no_examples(paying: Segment) -> None:
    paying.rules = TEAM
    found = flag_effects(examine(change_to(paying)))
    assert found is not None
    assert not any(change.people for each in found.flags for change in each.changes)


def test_nothing_is_said_where_nobody_moves_or_no_flag_uses_it(paying: Segment) -> None:
    paying.name = "Other"
    assert flag_effects(examine(change_to(paying), with_flags=True)) is None
    quiet: Segment = SegmentFactory.create(key="quiet", rules=PRO)
    quiet.rules = TEAM
    assert flag_effects(examine(change_to(quiet))) is None


def test_of_many_a_sample_is_asked_about_and_it_says_so(
    paying: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featureflags.editing.before_and_after.MOST_ROWS", 4)
    paying.rules = TEAM
    found = flag_effects(examine(change_to(paying)))
    assert found is not None
    assert not found.is_all
    assert 0 < found.asked <= 4
    assert found.words.startswith(f"A sample of those who move: {found.asked} of them.")


def test_time_that_is_up_ends_it(paying: Segment) -> None:
    paying.rules = TEAM
    assert flag_effects(examine(change_to(paying)), seconds=0) is None
