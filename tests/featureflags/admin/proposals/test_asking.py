"""What is asked before a change is proposed, scheduled, or made as an emergency."""

from __future__ import annotations

import html

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from featureflags.models import HistoryEntry, PlannedChange, Segment
from tests.featureflags.admin.asking import answer, is_asked
from tests.featureflags.admin.proposals.deciding import (
    TEAM,
    State,
    decide,
    person,
    proposed,
    rules,
)
from tests.featureflags.admin.shared.confirming import PRO, change, form

pytestmark = pytest.mark.django_db


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
