"""Which changes must be confirmed, and which flags use a segment."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from featureflags.editing import Change, MemberChange, Reason, examine
from featureflags.editing.examining import flag_uses
from featureflags.models import Segment
from featureflags.models.changesets import MemberState
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory, clause, rule
from tests.featureflags.editing.changing import (
    INCLUDED,
    PRO,
    TEAM,
    change,
    deletion,
    membership,
    people,
    state,
)
from tests.services.flag_json import boolean_flag, prerequisite, segment_rule

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_flags(flag_file: FlagFile) -> FlagFile:
    """LaunchDarkly is there, and has no flags unless a test adds some."""
    return flag_file


@pytest.fixture
def segment() -> Segment:
    return SegmentFactory.create(key="beta", rules=PRO)


class TestHowManyMove:
    @pytest.mark.parametrize(
        ("moving", "others", "asked"),
        [(0, 100, False), (10, 90, False), (11, 89, True), (1, 9, False), (1, 8, True)],
    )
    def test_more_than_ten_percent(
        self, segment: Segment, moving: int, others: int, asked: bool
    ) -> None:
        people(moving, plan="team")
        people(others)
        found = change(segment, rules=TEAM)
        assert found.moved.count == moving
        assert (Reason.MANY in found.reasons) is asked
        assert found.needs_confirmation is asked

    @pytest.mark.parametrize(("moving", "asked"), [(20, False), (21, True)])
    def test_or_more_than_a_number(
        self, segment: Segment, settings: Settings, moving: int, asked: bool
    ) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "CONFIRM_USERS": 20}
        people(moving, plan="team")
        people(400)
        assert change(segment, rules=TEAM).needs_confirmation is asked

    @pytest.mark.parametrize(("moving", "others", "asked"), [(10, 90, False), (11, 89, True)])
    def test_the_same_for_members(
        self, segment: Segment, moving: int, others: int, asked: bool
    ) -> None:
        users = people(moving)
        people(others)
        assert membership(segment, *users).needs_confirmation is asked

    def test_both_directions_count(self, segment: Segment) -> None:
        people(6, plan="team")
        people(6, plan="pro")
        people(88)
        found = change(segment, rules=TEAM)
        assert (found.moved.entering, found.moved.leaving) == (6, 6)
        assert found.reasons == (Reason.MANY,)

    def test_zero_means_that_any_move_must_be_confirmed(
        self, segment: Segment, settings: Settings
    ) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "CONFIRM_PERCENT": 0}
        people(100)
        assert not change(segment, rules=TEAM).needs_confirmation
        people(1, plan="team")
        assert change(segment, rules=TEAM).needs_confirmation

    def test_a_count_that_was_cut_off_asks(self, segment: Segment, settings: Settings) -> None:
        people(100)
        found = examine(
            Change(before=segment.stored_state(), after=state(segment, rules=TEAM)),
            seconds=0,
        )
        assert not found.impact.is_exact
        assert found.reasons == (Reason.UNCOUNTED,)

    def test_a_new_segment_is_entered(self) -> None:
        people(2, plan="pro")
        new = Segment(key="new", name="New", rules=PRO)
        found = examine(Change(before=None, after=new.as_state()))
        assert (found.moved.entering, found.needs_confirmation) == (2, True)

    def test_a_name_a_reason_and_what_is_inactive_move_nobody(self, segment: Segment) -> None:
        users = people(5, plan="pro")
        assert not change(segment, name="Other").needs_confirmation
        SegmentMemberFactory.create(segment=segment, user=users[0])
        stored = segment.stored_state()
        other = MemberChange(
            before=INCLUDED, after=MemberState(kind="include", reason="x", expires_at=None)
        )
        members = {users[0].pk: other}
        found = examine(Change(before=stored, after=stored, members=members))
        assert not found.needs_confirmation
        Segment.objects.filter(pk=segment.pk).update(is_active=False)
        segment.refresh_from_db()
        assert not change(segment, rules=TEAM).needs_confirmation


class TestFlags:
    def test_one_that_is_on_asks_and_one_that_is_off_does_not(
        self, segment: Segment, flag_file: FlagFile
    ) -> None:
        people(50)
        flag_file(boolean_flag("off", on=False, rules=[segment_rule("beta")]))
        found = change(segment, rules=TEAM)
        assert (found.needs_confirmation, found.flags, found.live_flags) == (False, ("off",), ())

    def test_one_that_is_on(self, segment: Segment, flag_file: FlagFile) -> None:
        people(50)
        flag_file(boolean_flag("checkout", rules=[segment_rule("beta")]))
        found = change(segment, rules=TEAM)
        assert (found.reasons, found.live_flags) == ((Reason.FLAGS,), ("checkout",))
        assert membership(segment, people(1)[0]).reasons == (Reason.FLAGS,)
        assert not change(segment, rules=PRO, name="Other").needs_confirmation

    def test_a_flag_on_a_segment_that_uses_this_one(
        self, segment: Segment, flag_file: FlagFile
    ) -> None:
        SegmentFactory.create(key="wide", rules=[rule(clause("", "segmentMatch", "beta"))])
        SegmentFactory.create(key="wider", rules=[rule(clause("", "segmentMatch", "wide"))])
        flag_file(
            boolean_flag("checkout", rules=[segment_rule("wider")]),
            boolean_flag("follows", prerequisites=[prerequisite("checkout")]),
            boolean_flag("other", rules=[segment_rule("employee")]),
        )
        found = change(segment, rules=TEAM)
        assert found.live_flags == ("checkout", "follows")
        assert {use.through for use in found.uses} == {"wider"}
        assert found.reasons == (Reason.FLAGS,)

    def test_they_are_not_looked_up_for_a_change_that_moves_nobody(
        self, segment: Segment, flag_file: FlagFile
    ) -> None:
        flag_file(boolean_flag("checkout", rules=[segment_rule("beta")]))
        with CaptureQueriesContext(connection) as captured:
            found = change(segment, name="Other")
        assert (found.uses, found.reasons, len(captured)) == ((), (), 1)  # the stored row
        assert examine(found.change, with_flags=True).live_flags == ("checkout",)

    def test_the_flags_are_unknown_without_launchdarkly(
        self, segment: Segment, settings: Settings
    ) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "FLAG_FILE": "", "SOURCE": "offline"}
        people(50)
        assert flag_uses("beta") is None
        assert not change(segment, rules=TEAM).needs_confirmation
        assert deletion(segment).needs_key


class TestDisappearing:
    @pytest.mark.parametrize("on", [True, False])
    def test_what_a_flag_targets_needs_the_key(
        self, segment: Segment, flag_file: FlagFile, on: bool
    ) -> None:
        people(50)
        flag_file(boolean_flag("checkout", on=on, rules=[segment_rule("beta")]))
        assert deletion(segment).needs_key
        assert change(segment, is_active=False).needs_key

    def test_what_no_flag_targets_does_not(self, segment: Segment) -> None:
        people(50)
        assert not deletion(segment).needs_confirmation
        assert not change(segment, is_active=False).needs_confirmation

    def test_a_segment_that_appears_needs_no_key(
        self, segment: Segment, flag_file: FlagFile
    ) -> None:
        people(50)
        Segment.objects.filter(pk=segment.pk).update(is_active=False)
        segment.refresh_from_db()
        flag_file(boolean_flag("checkout", rules=[segment_rule("beta")]))
        found = change(segment, is_active=True)
        assert (found.needs_key, found.reasons) == (False, (Reason.FLAGS,))


def test_a_hundred_segments_cost_as_many_queries_as_one(segment: Segment) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            change(segment, rules=TEAM)
        return len(captured)

    few = queries()
    SegmentFactory.create_batch(100, rules=PRO)
    assert queries() == few
