"""A planned change is examined again: what others wrote in the meantime."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import pytest
from django.utils import timezone

from featureflags.editing import (
    NotPossible,
    archival_of,
    change_to,
    deletion_of,
    examine,
    examine_plan,
    forget_deleted_rows,
    forget_user,
    make_plan,
    membership_change,
    wanted_by,
)
from featureflags.kinds.compiled import CompiledKind
from featureflags.models import PlannedChange, Segment, SegmentMember
from featureflags.models.changesets import MemberState
from tests.conftest import FlagFile
from tests.customers.models import Company
from tests.customers.organizations import ORGANIZATION
from tests.factories import SegmentFactory, clause, rule
from tests.featureflags.editing.changing import INCLUDED, PRO, TEAM, people
from tests.featureflags.editing.plans.deciding import decide, last, proposed, saved
from users.models import User

pytestmark = pytest.mark.django_db
State = PlannedChange.State
PRO_COMPANIES = [rule(clause("seats", "greaterThan", 50))]


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

    def test_memberships_whose_time_has_ended(self, segment: Segment, ada: User) -> None:
        """Nothing is left of the change, unless one of them still counts, or all had ended before."""
        day = datetime.timedelta(days=1)
        until = timezone.now() - day
        brief = MemberState(kind="include", reason="", expires_at=until)
        alone, mixed = {str(ada.pk): brief}, {str(ada.pk): brief, str(people(1)[0].pk): INCLUDED}
        plans = [
            make_plan(examine(membership_change(segment, wanted)), author=ada, source="admin")
            for wanted in (alone, mixed, alone)
        ]
        for plan in plans[:2]:
            plan.created_at = until - day
        with pytest.raises(NotPossible, match="has ended in the meantime"):
            examine_plan(plans[0])
        assert [examine_plan(plan).moved.entering for plan in plans[1:]] == [1, 0]

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
        """It cannot be approved now, and waits for the segment to come back."""
        named = SegmentFactory.create(key="named")
        rules = [{"clauses": [{"attribute": "", "op": "segmentMatch", "values": ["named"]}]}]
        plan = proposed(segment, ada, rules=rules)
        Segment.objects.filter(key="named").delete()
        with pytest.raises(NotPossible, match="named"):
            examine_plan(plan)
        named.pk = None
        named._state.adding = True
        named.save()
        decide(plan, ben)
        assert (plan.state, Segment.objects.get(key="beta").rules) == (State.APPLIED, rules)

    def test_a_deletion_of_what_others_use_now(self, segment: Segment, ada: User) -> None:
        plan = make_plan(examine(deletion_of(segment)), author=ada, source="admin")
        rules = [{"clauses": [{"attribute": "", "op": "segmentMatch", "values": ["beta"]}]}]
        SegmentFactory.create(key="wide", rules=rules)
        with pytest.raises(NotPossible, match="is used by wide"):
            examine_plan(plan)

    def test_an_archive_of_what_a_flag_uses_now(self, ada: User, segment: Segment) -> None:
        examined = replace(
            examine(deletion_of(segment)), change=archival_of(segment, archived=True)
        )
        plan = make_plan(examined, author=ada, source="admin")
        with pytest.raises(NotPossible, match="flags that are on use it: new"):
            examine_plan(plan)

    def test_a_change_of_what_is_archived_now(
        self, segment: Segment, ada: User, ben: User, flag_file: FlagFile
    ) -> None:
        """Other rules come into the archive; to activate it there is refused."""
        flag_file()
        saved(is_active=False)
        segment.refresh_from_db()
        rules = proposed(segment, ada, rules=TEAM)
        active = proposed(segment, ada, is_active=True)
        saved(is_archived=True)
        decide(rules, ben)
        stored = Segment.objects.get(key="beta")
        assert (stored.rules, stored.is_archived, stored.is_active) == (TEAM, True, False)
        with pytest.raises(NotPossible, match="take it out of the archive first"):
            examine_plan(active)

    def test_a_deleted_key_that_is_of_another_kind_now(
        self, segment: Segment, ada: User, organizations: CompiledKind
    ) -> None:
        plan = proposed(segment, ada, description="Of users", rules=[])
        Segment.objects.filter(key="beta").delete()
        SegmentFactory.create(key="beta", name="Beta", kind=ORGANIZATION, rules=PRO_COMPANIES)
        with pytest.raises(NotPossible, match="one of another kind"):
            examine_plan(plan)

    def test_two_of_the_same_are_made_once(self, segment: Segment, ada: User, ben: User) -> None:
        plan, same = (proposed(_fresh(), ada, rules=TEAM) for _ in range(2))
        decide(plan, ben)
        with pytest.raises(NotPossible, match="says this already"):
            examine_plan(same)


def _fresh() -> Segment:
    return Segment.objects.get(key="beta")


def test_a_deleted_company_is_taken_out_and_a_user_with_its_key_changes_nothing(
    organizations: CompiledKind, ada: User
) -> None:
    acme, gone = (Company.objects.create(name=name) for name in ("Acme", "Gone"))
    large = SegmentFactory.create(key="large", kind=ORGANIZATION, rules=PRO_COMPANIES)
    wanted = {str(company.pk): INCLUDED for company in (acme, gone)}
    plan = make_plan(examine(membership_change(large, wanted)), author=ada, source="admin")
    # Users have integer keys in other projects.
    forget_user(str(acme.pk))
    gone.delete()
    forget_deleted_rows()
    plan.refresh_from_db()
    assert list(plan.change["members"]) == [str(acme.pk)]
    assert examine_plan(plan).moved.entering == 1
