"""A planned change is examined again: what others wrote in the meantime."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.utils import timezone

from featureflags.editing import (
    NotPossible,
    change_to,
    deletion_of,
    examine,
    examine_plan,
    make_plan,
    membership_change,
    wanted_by,
)
from featureflags.models import PlannedChange, Segment, SegmentMember
from featureflags.models.changesets import MemberState
from tests.factories import SegmentFactory
from tests.featureflags.editing.changing import INCLUDED, PRO, TEAM, people
from tests.featureflags.editing.plans.deciding import decide, last, proposed, saved
from users.models import User

pytestmark = pytest.mark.django_db
State = PlannedChange.State


class TestWhatChangedMeanwhile:
    def test_other_fields_stay_as_others_saved_them(
        self, segment: Segment, ada: User, ben: User
    ) -> None:
        plan = proposed(segment, ada, rules=TEAM)
        saved(name="Theirs")
        decide(plan, ben)
        stored = Segment.objects.get(key="beta")
        assert (plan.state, stored.name, stored.rules) == (State.APPLIED, "Theirs", TEAM)

    def test_the_numbers_are_those_of_now(self, segment: Segment, ada: User, ben: User) -> None:
        people(2, plan="team")
        plan = proposed(segment, ada, rules=TEAM)
        people(5, plan="team")
        decide(plan, ben)
        assert (plan.entering, last().entering) == (7, 7)

    @pytest.mark.parametrize(
        ("theirs", "words"),
        [({"rules": []}, "same field was changed in the meantime: rules"), (None, "was deleted")],
    )
    def test_the_same_field_or_a_deletion_refuses_it(
        self, segment: Segment, ada: User, ben: User, theirs: Any, words: str
    ) -> None:
        plan = proposed(segment, ada, rules=TEAM)
        if theirs is None:
            Segment.objects.filter(key="beta").delete()
        else:
            saved(**theirs)
        with pytest.raises(NotPossible, match=words):
            examine_plan(plan)

    def test_the_same_change_made_by_somebody_else(self, segment: Segment, ada: User) -> None:
        plan = proposed(segment, ada, rules=TEAM)
        saved(rules=TEAM)
        with pytest.raises(NotPossible, match="says this already"):
            examine_plan(plan)

    def test_a_creation_whose_key_is_taken(self, ada: User) -> None:
        examined = examine(change_to(Segment(key="beta", name="Beta", rules=PRO)))
        plan = make_plan(examined, author=ada, source="api")
        SegmentFactory.create(key="beta")
        with pytest.raises(NotPossible, match="created in the meantime"):
            examine_plan(plan)

    def test_memberships(self, segment: Segment, ada: User, ben: User) -> None:
        stays, gone = people(2)
        soon = timezone.now() + datetime.timedelta(days=1)
        wanted = {
            str(stays.pk): MemberState(kind="include", reason="", starts_at=soon, expires_at=None),
            str(gone.pk): INCLUDED,
        }
        examined = examine(membership_change(segment, wanted))
        plan = make_plan(examined, author=ada, source="admin")
        assert wanted_by(plan).members == examined.change.members
        key = str(gone.pk)
        gone.delete()
        plan.refresh_from_db()
        assert key not in str(plan.change)
        decide(plan, ben)
        assert SegmentMember.objects.get().starts_at == soon

    def test_the_same_membership(self, segment: Segment, ada: User) -> None:
        examined = examine(membership_change(segment, {str(ada.pk): INCLUDED}))
        plan = make_plan(examined, author=ada, source="admin")
        SegmentMember.objects.create(segment=segment, user=ada, kind="exclude")
        with pytest.raises(NotPossible, match="The same membership was changed"):
            examine_plan(plan)

    def test_a_deletion_takes_the_members_of_now(
        self, segment: Segment, ada: User, ben: User
    ) -> None:
        plan = make_plan(examine(deletion_of(segment)), author=ada, source="admin")
        SegmentMember.objects.create(segment=segment, user=ada)
        decide(plan, ben)
        assert (plan.state, Segment.objects.filter(key="beta").count()) == (State.APPLIED, 0)
        assert last().members.count() == 1

    def test_rules_that_are_not_valid_any_more(
        self, segment: Segment, ada: User, ben: User
    ) -> None:
        SegmentFactory.create(key="named")
        rules = [{"clauses": [{"attribute": "", "op": "segmentMatch", "values": ["named"]}]}]
        plan = proposed(segment, ada, rules=rules)
        Segment.objects.filter(key="named").delete()
        decide(plan, ben)
        assert plan.state == State.REFUSED
        assert "named" in plan.problem
        assert Segment.objects.get(key="beta").rules == PRO
