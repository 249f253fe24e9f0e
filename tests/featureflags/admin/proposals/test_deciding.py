"""Proposed changes in the admin: asked for, looked at, and decided by somebody else."""

from __future__ import annotations

import datetime
import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from featureflags.editing import change_to, examine, make_plan
from featureflags.models import HistoryEntry, PlannedChange, Segment
from tests.factories import UserFactory
from tests.featureflags.admin.asking import is_asked
from tests.featureflags.admin.proposals.deciding import (
    TEAM,
    State,
    decide,
    page,
    person,
    proposed,
    rules,
)
from tests.featureflags.admin.shared.confirming import PRO, change, form

pytestmark = pytest.mark.django_db


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
