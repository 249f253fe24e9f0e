"""Planned changes: who may decide, what is examined again, and what the history says."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.editing import (
    Approval,
    Decided,
    NeedsApproval,
    NotPossible,
    OwnPlan,
    apply,
    approve,
    attempt_now,
    change_to,
    comment,
    deletion_of,
    examine,
    examine_plan,
    import_segments,
    make_plan,
    membership_change,
    refuse,
    wanted_by,
    withdraw,
)
from featureflags.editing.history import restoration
from featureflags.models import (
    HistoryEntry,
    MailNotice,
    PlannedChange,
    Segment,
    SegmentMember,
    Webhook,
    WebhookDelivery,
)
from featureflags.models.changesets import MemberState
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory
from tests.featureflags.editing.changing import INCLUDED, PRO, TEAM, change, people
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

pytestmark = pytest.mark.django_db
State = PlannedChange.State


@pytest.fixture(autouse=True)
def approvals(settings: Settings, flag_file: FlagFile) -> None:
    """A flag that is on uses `beta`, and no other segment."""
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "APPROVE_LIVE_SEGMENTS": True}
    flag_file(boolean_flag("new", rules=[segment_rule("beta")]))


@pytest.fixture
def segment() -> Segment:
    return SegmentFactory.create(key="beta", name="Beta", rules=PRO)


@pytest.fixture
def ada() -> User:
    return UserFactory.create()


@pytest.fixture
def ben() -> User:
    return UserFactory.create()


def proposed(segment: Segment, author: User | None, **fields: Any) -> PlannedChange:
    examined = change(segment, **fields)
    segment.refresh_from_db()
    return make_plan(examined, author=author, source="admin", note="For the launch")


def decide(plan: PlannedChange, approver: User) -> None:
    approve(plan, examine_plan(plan), approver=approver)
    attempt_now(plan)


def saved(**fields: Any) -> None:
    """By somebody else."""
    segment = Segment.objects.get(key="beta")
    for name, value in fields.items():
        setattr(segment, name, value)
    segment.save()


def last() -> HistoryEntry:
    return HistoryEntry.objects.latest("pk")


class TestWhatNeedsAnApproval:
    def test_what_moves_users_of_a_segment_that_a_flag_uses_which_is_on(
        self, segment: Segment
    ) -> None:
        other = SegmentFactory.create(key="other", rules=PRO)
        assert change(segment, rules=TEAM).needs_approval
        assert examine(deletion_of(segment)).needs_approval
        assert not change(segment, rules=PRO, name="Payers").needs_approval
        assert not change(other, rules=TEAM).needs_approval

    def test_nothing_without_the_setting(self, segment: Segment, settings: Settings) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "APPROVE_LIVE_SEGMENTS": False}
        assert not change(segment, rules=TEAM).needs_approval

    def test_a_flag_that_is_off_does_not_count(self, segment: Segment, flag_file: FlagFile) -> None:
        flag_file(boolean_flag("new", on=False, rules=[segment_rule("beta")]))
        assert not change(segment, rules=TEAM).needs_approval

    def test_every_change_while_no_flags_are_known(
        self, segment: Segment, settings: Settings
    ) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "SOURCE": "offline", "FLAG_FILE": ""}
        other = SegmentFactory.create(key="other", rules=PRO)
        assert change(other, rules=TEAM).needs_approval

    @pytest.mark.parametrize("way", ["save", "delete", "member", "restore"])
    def test_nothing_of_it_is_written_without(self, segment: Segment, way: str, ada: User) -> None:
        first = last()
        saved(rules=TEAM)
        segment.refresh_from_db()
        wanted = {
            "save": lambda: change_to(_with(segment, rules=PRO)),
            "delete": lambda: deletion_of(segment),
            "member": lambda: membership_change(segment, {str(ada.pk): INCLUDED}),
            "restore": lambda: restoration(first).change,
        }[way]()
        before = last().pk
        with pytest.raises(NeedsApproval):
            apply(examine(wanted), source="admin")
        assert last().pk == before
        plan = make_plan(examine(wanted), author=ada, source="admin")
        decide(plan, UserFactory.create())
        assert plan.state == State.APPLIED
        assert last().pk == plan.entry_id == before + 1


def _with(segment: Segment, **fields: Any) -> Segment:
    for name, value in fields.items():
        setattr(segment, name, value)
    return segment


def test_the_history_says_who_proposed_and_who_approved(
    segment: Segment, ada: User, ben: User
) -> None:
    people(3, plan="team")
    plan = proposed(segment, ada, rules=TEAM)
    assert (plan.state, plan.entering, plan.needs_approval) == (State.PROPOSED, 3, True)
    assert Segment.objects.get(key="beta").rules == PRO
    decide(plan, ben)
    assert Segment.objects.get(key="beta").rules == TEAM
    entry = last()
    assert (entry.actor, entry.approved_by, entry.note) == (ada, ben, "For the launch")
    assert (entry.source, entry.is_emergency, entry.entering) == ("admin", False, 3)


def test_nobody_approves_their_own(segment: Segment, ada: User) -> None:
    plan = proposed(segment, ada, rules=TEAM)
    with pytest.raises(OwnPlan):
        approve(plan, examine_plan(plan), approver=ada)
    assert Segment.objects.get(key="beta").rules == PRO
    with pytest.raises(IntegrityError):
        PlannedChange.objects.filter(pk=plan.pk).update(approver=ada)


def test_an_emergency_is_written_at_once_and_marked(segment: Segment) -> None:
    apply(change(segment, rules=TEAM), source="admin", approval=Approval(is_emergency=True))
    assert (last().is_emergency, last().approved_by) == (True, None)


def test_what_needs_no_approval_is_no_emergency() -> None:
    other = SegmentFactory.create(key="other", rules=PRO)
    apply(change(other, rules=TEAM), source="admin", approval=Approval(is_emergency=True))
    assert not last().is_emergency


def test_it_is_decided_once(segment: Segment, ada: User, ben: User) -> None:
    plan = proposed(segment, ada, rules=TEAM)
    same = PlannedChange.objects.get(pk=plan.pk)
    refuse(plan, ben, why="Too many")
    assert [each.text for each in plan.comments.all()] == ["Too many"]
    steps: tuple[Callable[[], None], ...] = (
        lambda: approve(same, examine_plan(same), approver=ben),
        lambda: withdraw(same),
        lambda: refuse(same, ben),
    )
    for step in steps:
        with pytest.raises(Decided):
            step()
    assert Segment.objects.get(key="beta").rules == PRO


def test_comments(segment: Segment, ada: User) -> None:
    plan = proposed(segment, ada, rules=TEAM)
    comment(plan, ada, " Why so many? ")
    assert plan.comments.get().text == "Why so many?"
    for text in ("", "  ", "x" * 2_001):
        with pytest.raises(ValidationError):
            comment(plan, ada, text)


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
        [({"rules": []}, "the same field in the meantime: rules"), (None, "was deleted")],
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
        with pytest.raises(NotPossible, match="the same membership"):
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


class TestAnImport:
    DOCUMENT = {
        "segments": {
            "beta": {"key": "beta", "name": "Beta", "rules": TEAM},
            "other": {"key": "other", "name": "Other", "rules": TEAM},
        }
    }

    def test_is_refused_as_a_whole(self, segment: Segment) -> None:
        with pytest.raises(Exception, match="somebody else must approve"):
            import_segments(self.DOCUMENT)
        assert not Segment.objects.filter(key="other").exists()

    def test_a_dry_run_proposes_nothing(self, segment: Segment) -> None:
        found = import_segments(self.DOCUMENT, dry_run=True)
        assert {each.key: each.needs_approval for each in found} == {"beta": True, "other": False}
        assert Segment.objects.get(key="beta").rules == PRO
        assert not PlannedChange.objects.exists()

    def test_proposes_what_needs_it_and_writes_the_rest(
        self, segment: Segment, ada: User, ben: User
    ) -> None:
        import_segments(self.DOCUMENT, approval=Approval(author=ada), note="From the file")
        plan = PlannedChange.objects.get()
        assert (plan.segment_key, plan.author, plan.source) == ("beta", ada, "import_segments")
        assert (last().segment_key, last().actor) == ("other", ada)
        decide(plan, ben)
        (stored,) = Segment.objects.get(key="beta").rules
        assert stored["clauses"] == TEAM[0]["clauses"]

    def test_an_emergency(self, segment: Segment) -> None:
        import_segments(self.DOCUMENT, approval=Approval(is_emergency=True))
        entries = {each.segment_key: each.is_emergency for each in HistoryEntry.objects.all()[:2]}
        assert entries == {"beta": True, "other": False}


def test_programs_are_notified_without_notes_or_addresses(
    segment: Segment, ada: User, ben: User
) -> None:
    Webhook.objects.create(name="all", url="https://example.com/")
    plan = proposed(segment, ada, rules=TEAM)
    decide(plan, ben)
    rows = list(WebhookDelivery.objects.order_by("pk"))
    assert [row.event for row in rows] == [
        "change.proposed",
        "change.approved",
        "segment.changed",
        "change.applied",
    ]
    text = "".join(row.body for row in rows)
    assert str(ada.pk) in text
    assert "For the launch" not in text
    assert ada.email not in text


def test_people_are_sent_an_e_mail_only_where_it_is_on(
    segment: Segment, ada: User, ben: User, settings: Settings
) -> None:
    staff = UserFactory.create(is_staff=True, is_superuser=True)
    proposed(segment, ada, rules=TEAM)
    assert not MailNotice.objects.exists()
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "MAIL_NOTICES": True}
    plan = proposed(segment, staff, rules=TEAM)
    assert not MailNotice.objects.exists(), "nobody but its author may approve it"
    refuse(plan, ben)
    assert [each.user for each in MailNotice.objects.all()] == [staff]
    proposed(segment, ada, rules=TEAM)
    assert [each.event for each in MailNotice.objects.all()] == [
        "change.refused",
        "change.proposed",
    ]


def test_a_deleted_approver_is_replaced_in_the_history(
    segment: Segment, ada: User, ben: User
) -> None:
    plan = proposed(segment, ada, rules=TEAM)
    decide(plan, ben)
    ben.delete()
    ada.delete()
    plan.refresh_from_db()
    assert (plan.author, plan.approver) == (None, None)
    assert last().approved_by is not None
    assert last().approved_by == last().actor


def test_a_change_is_read_back_as_it_was_written(segment: Segment, ada: User) -> None:
    examined = change(segment, rules=TEAM, name="Payers")
    plan = make_plan(examined, author=ada, source="admin")
    plan.refresh_from_db()
    assert wanted_by(plan) == replace(examined.change, expected_version=None)
