"""Planned changes: who may decide, and what the history says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from pytest_django.fixtures import Settings

from featureflags.editing import (
    Approval,
    Decided,
    NeedsApproval,
    OwnPlan,
    apply,
    approve,
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
    Webhook,
    WebhookDelivery,
)
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory
from tests.featureflags.editing.changing import INCLUDED, PRO, TEAM, change, people
from tests.featureflags.editing.plans.deciding import decide, last, proposed, saved
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

pytestmark = pytest.mark.django_db
State = PlannedChange.State


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
        decide(plan, UserFactory.create(superuser=True))
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
    segment: Segment, ada: User, settings: Settings
) -> None:
    staff = UserFactory.create(is_staff=True, is_superuser=True)
    proposed(segment, ada, rules=TEAM)
    assert not MailNotice.objects.exists()
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "MAIL_NOTICES": True}
    plan = proposed(segment, staff, rules=TEAM)
    assert not MailNotice.objects.exists(), "nobody but its author may approve it"
    refuse(plan, ada)
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
