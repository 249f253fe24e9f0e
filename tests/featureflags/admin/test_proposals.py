"""Proposed and scheduled changes in the admin: asked for, looked at, and decided by somebody else."""

from __future__ import annotations

import datetime
import html
import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.editing import change_to, examine, make_plan
from featureflags.models import HistoryEntry, PlannedChange, Segment
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.admin.asking import answer, is_asked
from tests.featureflags.admin.shared.confirming import EDITOR, PRO, change, form
from tests.featureflags.api.using import use
from tests.services.flag_json import boolean_flag, segment_rule

pytestmark = pytest.mark.django_db

TEAM = [rule(clause("custom_plan", "in", "team"))]
LIST = reverse("admin:featureflags_proposals")
State = PlannedChange.State


@pytest.fixture(autouse=True)
def approvals(settings: Settings, flag_file: FlagFile) -> None:
    use(settings, APPROVE_LIVE_SEGMENTS=True)
    flag_file(boolean_flag("new-checkout", rules=[segment_rule("paying")]))


@pytest.fixture
def paying() -> Segment:
    for number in range(3):
        UserFactory.create(email=f"team{number}@example.com", metadata={"plan": "team"})
    return SegmentFactory.create(key="paying", name="Paying", rules=PRO)


@pytest.fixture
def quiet() -> Segment:
    return SegmentFactory.create(key="quiet", name="Quiet", rules=PRO)


def person(*codenames: str) -> Client:
    user = UserFactory.create(is_staff=True)
    wanted = Permission.objects.filter(codename__in=[*EDITOR, *codenames])
    user.user_permissions.set(wanted)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def ada() -> Client:
    return person()


@pytest.fixture
def ben() -> Client:
    return person("approve_plannedchange")


def tomorrow() -> str:
    at = timezone.localtime() + datetime.timedelta(days=1)
    return at.strftime("%Y-%m-%dT%H:%M")


def rules() -> Any:
    return Segment.objects.get(key="paying").rules


def proposed(client: Client, segment: Segment, due: str = "", rules: Any = TEAM) -> PlannedChange:
    segment.refresh_from_db()
    asked = client.post(change(segment), form(segment, rules=rules, note="For the launch"))
    sent = answer(client, asked, _how="propose", _due=due)
    plan = PlannedChange.objects.latest("pk")
    assert sent.status_code == 302
    assert sent.url == page(plan)
    return plan


def page(plan: PlannedChange) -> str:
    return reverse("admin:featureflags_proposal", args=[plan.pk])


def decide(client: Client, plan: PlannedChange, what: str, **more: str) -> Any:
    text = client.get(page(plan)).content.decode()
    token = re.search(r'name="_confirmed" value="([^"]*)"', text)
    sent = {"_do": what, "_confirmed": token.group(1) if token else "", **more}
    return client.post(page(plan), sent, follow=True)


def test_a_change_of_a_segment_in_use_is_proposed_and_made_by_another(
    ada: Client, ben: Client, paying: Segment
) -> None:
    asked = ada.post(change(paying), form(paying, rules=TEAM, note="For the launch"))
    assert is_asked(asked)
    text = asked.content.decode()
    assert "somebody else must approve this change" in text
    assert ">Propose</button>" in text
    assert 'value="emergency"' not in text
    plan = proposed(ada, paying)
    assert (plan.state, plan.entering, plan.note) == (State.PROPOSED, 3, "For the launch")
    assert rules() == PRO
    own = ada.get(page(plan)).content.decode()
    assert "somebody else must approve it" in own
    assert 'value="approve"' not in own
    shown = decide(ben, plan, "approve")
    assert "The change is made." in shown.content.decode()
    assert rules() == TEAM
    history = ben.get(reverse("admin:featureflags_segment_changes", args=["paying"]))
    assert "approved by" in history.content.decode()


def test_the_author_cannot_approve_even_with_the_permission(paying: Segment) -> None:
    client = person("approve_plannedchange")
    plan = proposed(client, paying)
    assert client.post(page(plan), {"_do": "approve"}).status_code == 403
    assert rules() == PRO


def test_without_the_permission_nobody_approves_or_refuses(ada: Client, paying: Segment) -> None:
    plan, other = proposed(ada, paying), person()
    for what in ("approve", "refuse"):
        assert other.post(page(plan), {"_do": what}).status_code == 403
    assert PlannedChange.objects.get().state == State.PROPOSED


def test_what_moved_since_the_page_was_opened_is_shown_again(
    ada: Client, ben: Client, paying: Segment
) -> None:
    plan = proposed(ada, paying)
    text = ben.get(page(plan)).content.decode()
    token = re.search(r'name="_confirmed" value="([^"]*)"', text)
    assert token is not None
    UserFactory.create(metadata={"plan": "team"})
    shown = ben.post(page(plan), {"_do": "approve", "_confirmed": token.group(1)})
    assert "something has changed since you opened this page" in shown.content.decode()
    assert rules() == PRO
    decide(ben, plan, "approve")
    assert rules() == TEAM


def test_it_is_refused_with_a_comment_and_proposed_again(
    ada: Client, ben: Client, paying: Segment
) -> None:
    plan = proposed(ada, paying)
    assert "Why so many?" in decide(ada, plan, "comment", text="Why so many?").content.decode()
    shown = decide(ben, plan, "refuse", text="Too <many>").content.decode()
    assert "Too &lt;many&gt;" in shown
    assert "Refused" in shown
    assert "is decided already" in decide(ben, plan, "approve").content.decode()
    again = decide(ada, plan, "again").content.decode()
    assert "It is proposed again" in again
    assert PlannedChange.objects.latest("pk").state == State.PROPOSED


def test_a_comment_is_never_lost(ada: Client, ben: Client, paying: Segment) -> None:
    plan = proposed(ada, paying)
    assert "Better so" in decide(ben, plan, "approve", text="Better so").content.decode()
    assert [each.text for each in plan.comments.all()] == ["Better so"]
    # Somebody else was faster: what was typed stays in the form, and nothing is said to be unapproved.
    late = person("approve_plannedchange")
    shown = decide(late, plan, "approve", text="Wait for Monday").content.decode()
    assert "is decided already" in shown
    assert "Nothing is approved" not in shown
    assert ">Wait for Monday</textarea>" in shown
    # Too long: it is approved, and the comment waits to be made shorter.
    plan = proposed(ada, paying, rules=PRO)
    shown = decide(ben, plan, "approve", text="x" * 2001).content.decode()
    assert "The change is made." in shown
    assert "A comment has 1 to 2000 characters." in shown
    assert "x" * 2001 in shown
    assert rules() == PRO


def test_two_people_approve_at_once(ada: Client, ben: Client, paying: Segment) -> None:
    plan, other = proposed(ada, paying), person("approve_plannedchange")
    pages = [each.get(page(plan)).content.decode() for each in (ben, other)]
    tokens = [re.search(r'name="_confirmed" value="([^"]*)"', text) for text in pages]
    said = [
        client.post(
            page(plan), {"_do": "approve", "_confirmed": token.group(1)}, follow=True
        ).content.decode()
        for client, token in zip((ben, other), tokens, strict=True)
        if token is not None
    ]
    assert ["The change is made." in text for text in said] == [True, False]
    assert "This is decided already: Applied." in said[1]
    assert HistoryEntry.objects.filter(segment_key="paying", source="admin").count() == 1


def test_the_segment_was_deleted_in_the_meantime(ada: Client, ben: Client, paying: Segment) -> None:
    plan = proposed(ada, paying)
    Segment.objects.get(key="paying").delete()
    text = ben.get(page(plan)).content.decode()
    assert "The segment was deleted in the meantime." in text
    assert 'value="approve"' not in text
    assert 'value="refuse"' in text
    forced = ben.post(page(plan), {"_do": "approve", "_confirmed": "x"}, follow=True)
    assert "The segment was deleted in the meantime." in forced.content.decode()
    assert ben.get(reverse("admin:featureflags_proposals")).status_code == 200
    assert "withdrawn" in decide(ada, plan, "withdraw").content.decode()
    assert not Segment.objects.filter(key="paying").exists()


def test_what_cannot_be_made_any_more_is_not_offered(ada: Client, quiet: Segment) -> None:
    quiet.rules = TEAM
    later = timezone.now() + datetime.timedelta(days=1)
    plan = make_plan(examine(change_to(quiet)), author=None, source="admin", due_at=later)
    assert 'value="now"' in ada.get(page(plan)).content.decode()
    theirs = Segment.objects.get(key="quiet")
    theirs.rules = []
    theirs.save()
    text = ada.get(page(plan)).content.decode()
    assert "The same field was changed in the meantime: rules." in text
    assert "Withdraw it, and make the change anew" in text
    assert 'value="now"' not in text
    assert "withdrawn" in decide(ada, plan, "withdraw").content.decode()


@pytest.mark.parametrize(
    ("due", "said"),
    [
        ("2020-01-01T10:00", "This moment has passed already."),
        # Clocks go from 02:00 to 03:00, and from 03:00 back to 02:00.
        ("2027-03-28T02:30", "may not exist"),
        ("2027-10-31T02:30", "may be ambiguous"),
        ("2027-02-29T10:00", "Enter a valid date/time."),
        ("99999-01-01T10:00", "Enter a valid date/time."),
        ("soon", "Enter a valid date/time."),
    ],
)
def test_an_instant_that_cannot_be_is_refused_and_kept(
    ada: Client, paying: Segment, due: str, said: str
) -> None:
    with timezone.override("Europe/Berlin"):
        asked = ada.post(change(paying), form(paying, rules=TEAM, note="Kept"))
        again = answer(ada, asked, _due=due)
    text = again.content.decode()
    assert is_asked(again)
    assert said in html.unescape(text)
    assert f'value="{due}"' in text
    assert "Kept" in text
    assert not PlannedChange.objects.exists()


def test_it_is_withdrawn(ada: Client, paying: Segment) -> None:
    plan = proposed(ada, paying)
    assert "withdrawn" in decide(ada, plan, "withdraw").content.decode()
    assert PlannedChange.objects.get().state == State.WITHDRAWN


def test_an_emergency_takes_a_permission_and_a_note(paying: Segment) -> None:
    client = person("bypass_plannedchange")
    asked = client.post(change(paying), form(paying, rules=TEAM))
    assert 'value="emergency"' in asked.content.decode()
    again = answer(client, asked, _how="emergency")
    assert "Write why this cannot wait" in again.content.decode()
    assert rules() == PRO
    done = answer(client, asked, _how="emergency", note="The shop is down")
    assert done.status_code == 302
    assert rules() == TEAM
    assert HistoryEntry.objects.latest("pk").is_emergency
    index = client.get(reverse("admin:index")).content.decode()
    assert "Emergencies" in index
    assert "The shop is down" in index
    history = client.get(reverse("admin:featureflags_segment_changes", args=["paying"]))
    assert "emergency, without approval" in history.content.decode()


def test_without_the_permission_an_emergency_is_a_proposal(ada: Client, paying: Segment) -> None:
    asked = ada.post(change(paying), form(paying, rules=TEAM))
    answer(ada, asked, _how="emergency", note="x")
    assert rules() == PRO
    assert PlannedChange.objects.get().state == State.PROPOSED


class TestAtALaterTime:
    def test_the_button_asks_when_and_schedules(self, ada: Client, quiet: Segment) -> None:
        sent = form(quiet, rules=TEAM) | {"_later": "Save at …"}
        del sent["_save"]
        asked = ada.post(change(quiet), sent)
        assert is_asked(asked)
        empty = answer(ada, asked, _how="save")
        assert "Choose a date and a time." in empty.content.decode()
        past = answer(ada, asked, _how="save", _due="2020-01-01T10:00")
        assert "has passed already" in past.content.decode()
        assert not PlannedChange.objects.exists()
        due = tomorrow()
        done = answer(ada, asked, _how="save", _due=due)
        plan = PlannedChange.objects.get()
        assert (done.status_code, plan.state, plan.needs_approval) == (302, State.SCHEDULED, False)
        assert plan.due_at is not None
        assert timezone.localtime(plan.due_at).strftime("%Y-%m-%dT%H:%M") == due
        assert Segment.objects.get(key="quiet").rules == PRO
        decide(ada, plan, "now")
        assert Segment.objects.get(key="quiet").rules == TEAM

    def test_what_is_approved_waits_for_its_time(
        self, ada: Client, ben: Client, paying: Segment
    ) -> None:
        plan = proposed(ada, paying, tomorrow())
        assert "made when it is due" in decide(ben, plan, "approve").content.decode()
        plan.refresh_from_db()
        assert (plan.state, rules()) == (State.SCHEDULED, PRO)

    def test_it_is_shown_where_people_look(self, ada: Client, paying: Segment) -> None:
        plan = proposed(ada, paying, tomorrow())
        for address in (change(paying), reverse("admin:index"), LIST):
            assert page(plan) in ada.get(address).content.decode(), address
        assert page(plan) not in ada.get(LIST, {"state": "applied"}).content.decode()

    def test_a_user_sees_what_it_will_do_to_them(self, ben: Client, quiet: Segment) -> None:
        client, user = Client(), UserFactory.create(metadata={"plan": "team"})
        client.force_login(UserFactory.create(superuser=True))
        sent = form(quiet, rules=TEAM) | {"_later": "1"}
        answer(client, client.post(change(quiet), sent), _how="save", _due=tomorrow())
        shown = client.get(reverse("admin:featureflags_usercontext", args=[user.pk]))
        text = shown.content.decode()
        assert "is made" in text
        assert "Enters quiet" in text


class TestEveryWay:
    def test_a_deletion(self, ben: Client, paying: Segment) -> None:
        ada = person("delete_segmentmember")
        address = reverse("admin:featureflags_segment_delete", args=[paying.pk])
        asked = ada.get(address)
        answer(ada, asked, _how="propose", _key="paying")
        plan = PlannedChange.objects.get()
        assert Segment.objects.filter(key="paying").exists()
        wrong = decide(ben, plan, "approve", _key="payin")
        assert "the key is not the one of the segment" in wrong.content.decode()
        decide(ben, plan, "approve", _key="paying")
        assert not Segment.objects.filter(key="paying").exists()

    def test_a_restore(self, ada: Client, ben: Client, paying: Segment) -> None:
        entry = HistoryEntry.objects.latest("pk")
        paying.rules = TEAM
        paying.save()
        address = reverse("admin:featureflags_segment_restore", args=[entry.pk])
        answer(ada, ada.get(address), _how="propose")
        plan = PlannedChange.objects.get()
        assert rules() == TEAM
        decide(ben, plan, "approve")
        assert rules() == PRO
        assert HistoryEntry.objects.latest("pk").restored == entry

    def test_a_member_by_name(self, paying: Segment) -> None:
        client, user = Client(), UserFactory.create()
        client.force_login(UserFactory.create(superuser=True))
        address = reverse("admin:featureflags_segment_by_name", args=["paying"])
        sent = {"user": str(user.pk), "kind": "include", "reason": "VIP"}
        sent |= {f"{name}_{n}": "" for name in ("starts_at", "expires_at") for n in (0, 1)}
        asked = client.post(address, sent)
        assert is_asked(asked)
        answer(client, asked, _how="propose")
        plan = PlannedChange.objects.get()
        assert list(plan.change["members"]) == [str(user.pk)]
        assert not paying.members.exists()
