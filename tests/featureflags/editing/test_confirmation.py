"""Which changes have to be confirmed, which flags rest on a segment, and what a confirmation holds."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest
from django.core import signing
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.editing import confirmation
from featureflags.editing.changes import MemberDelta, SegmentDelta
from featureflags.editing.confirmation import (
    Examination,
    Reason,
    are_confirmed,
    examine,
    flag_uses,
    sign,
)
from featureflags.launchdarkly import client
from featureflags.models import Segment
from featureflags.models.changesets import MemberState, SegmentState
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from tests.services.flag_json import boolean_flag, prerequisite, segment_rule
from users.models import User

pytestmark = pytest.mark.django_db

PRO = [rule(clause("custom_plan", "in", "pro"))]
TEAM = [rule(clause("custom_plan", "in", "team"))]
INCLUDED = MemberState(kind="include", reason="", expires_at=None)


@pytest.fixture(autouse=True)
def no_flags(flag_file: FlagFile) -> FlagFile:
    """LaunchDarkly is there, and has no flags unless a test says so."""
    return flag_file


def people(count: int, **metadata: Any) -> list[User]:
    users = [User(email=f"{uuid.uuid4()}@example.com", metadata=metadata) for _ in range(count)]
    User.objects.bulk_create(users)
    return users


@pytest.fixture
def segment(settings: Settings) -> Segment:
    return SegmentFactory.create(key="beta", rules=PRO)


def state(segment: Segment, **fields: Any) -> SegmentState:
    for name, value in fields.items():
        setattr(segment, name, value)
    return segment.as_state()


def change(segment: Segment, **fields: Any) -> Examination:
    before = segment.stored_state()
    return examine(segment.pk, SegmentDelta(before=before, after=state(segment, **fields)))


def deletion(segment: Segment) -> Examination:
    return examine(segment.pk, SegmentDelta(before=segment.stored_state(), after=None))


def membership(segment: Segment, *users: User, state: MemberState = INCLUDED) -> Examination:
    stored = segment.stored_state()
    members = {user.pk: MemberDelta(before=None, after=state) for user in users}
    return examine(segment.pk, SegmentDelta(before=stored, after=stored, members=members))


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
        assert found.impact.moved == moving
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

    def test_zero_asks_of_whatever_moves_anybody(
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
            segment.pk,
            SegmentDelta(before=segment.stored_state(), after=state(segment, rules=TEAM)),
            seconds=0,
        )
        assert not found.impact.is_exact
        assert found.reasons == (Reason.UNCOUNTED,)

    def test_a_new_segment_is_entered(self) -> None:
        people(2, plan="pro")
        new = Segment(key="new", name="New", rules=PRO)
        found = examine(None, SegmentDelta(before=None, after=new.as_state()))
        assert (found.moved.entering, found.needs_confirmation) == (2, True)

    def test_a_name_a_reason_and_what_is_inactive_move_nobody(self, segment: Segment) -> None:
        users = people(5, plan="pro")
        assert not change(segment, name="Other").needs_confirmation
        SegmentMemberFactory.create(segment=segment, user=users[0])
        stored = segment.stored_state()
        told = MemberDelta(
            before=INCLUDED, after=MemberState(kind="include", reason="x", expires_at=None)
        )
        members = {users[0].pk: told}
        found = examine(segment.pk, SegmentDelta(before=stored, after=stored, members=members))
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

    def test_one_that_names_a_segment_which_rests_on_this_one(
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

    def test_nobody_can_tell_without_launchdarkly(
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

    def test_nor_what_appears(self, segment: Segment, flag_file: FlagFile) -> None:
        people(50)
        Segment.objects.filter(pk=segment.pk).update(is_active=False)
        segment.refresh_from_db()
        flag_file(boolean_flag("checkout", rules=[segment_rule("beta")]))
        found = change(segment, is_active=True)
        assert (found.needs_key, found.reasons) == (False, (Reason.FLAGS,))


class TestConfirming:
    @pytest.fixture
    def actor(self) -> User:
        return UserFactory.create()

    @pytest.fixture
    def asked(self, segment: Segment) -> Examination:
        people(5, plan="team")
        return change(segment, rules=TEAM)

    def test_it_holds_for_what_was_shown(
        self, asked: Examination, actor: User, segment: Segment
    ) -> None:
        token = sign([asked], actor)
        assert are_confirmed([asked], token, actor)
        assert are_confirmed([change(segment, rules=TEAM)], token, actor)

    def test_it_holds_for_nothing_else(
        self, asked: Examination, actor: User, segment: Segment
    ) -> None:
        token = sign([asked], actor)
        assert not are_confirmed([asked], token, UserFactory.create())
        assert not are_confirmed([asked, asked], token, actor)
        assert not are_confirmed([], token, actor)
        for nonsense in ("", "x", token[:-1], signing.dumps("x", salt="other")):
            assert not are_confirmed([asked], nonsense, actor)
        assert not are_confirmed([change(segment, rules=[*TEAM, *PRO])], token, actor)
        assert not are_confirmed([change(segment, rules=TEAM, is_active=False)], token, actor)
        assert not are_confirmed([deletion(segment)], token, actor)

    def test_not_once_somebody_has_saved(
        self, asked: Examination, actor: User, segment: Segment
    ) -> None:
        token = sign([asked], actor)
        stored = Segment.objects.get(pk=segment.pk)
        stored.name = "Other"
        stored.save()
        assert not are_confirmed([change(segment, rules=TEAM)], token, actor)

    def test_not_once_more_users_move(
        self, asked: Examination, actor: User, segment: Segment
    ) -> None:
        token = sign([asked], actor)
        people(1, plan="team")
        assert not are_confirmed([change(segment, rules=TEAM)], token, actor)

    def test_one_in_a_hundred_may_have_signed_up_meanwhile(
        self, actor: User, segment: Segment
    ) -> None:
        people(200, plan="team")
        token = sign([change(segment, rules=TEAM)], actor)
        people(2, plan="team")
        assert are_confirmed([change(segment, rules=TEAM)], token, actor)
        people(1, plan="team")
        assert not are_confirmed([change(segment, rules=TEAM)], token, actor)

    def test_not_once_a_flag_targets_it(
        self, asked: Examination, actor: User, segment: Segment, flag_file: FlagFile
    ) -> None:
        token = sign([asked], actor)
        flag_file(boolean_flag("checkout", rules=[segment_rule("beta")]))
        client.close()
        assert not are_confirmed([change(segment, rules=TEAM)], token, actor)

    def test_other_members_are_another_change(self, segment: Segment, actor: User) -> None:
        one, two = people(2)
        token = sign([membership(segment, one)], actor)
        assert are_confirmed([membership(segment, one)], token, actor)
        assert not are_confirmed([membership(segment, two)], token, actor)
        soon = timezone.now() + datetime.timedelta(days=1)
        ending = MemberState(kind="include", reason="", expires_at=soon)
        assert not are_confirmed([membership(segment, one, state=ending)], token, actor)

    def test_a_day_later_it_holds_no_more(
        self, asked: Examination, actor: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        token = sign([asked], actor)
        monkeypatch.setattr(confirmation, "HOLDS_SECONDS", -1)
        assert not are_confirmed([asked], token, actor)


def test_a_hundred_segments_cost_no_more_queries_than_one(segment: Segment) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            change(segment, rules=TEAM)
        return len(captured)

    few = queries()
    SegmentFactory.create_batch(100, rules=PRO)
    assert queries() == few
