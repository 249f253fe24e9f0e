"""Warnings of user-written rules on a segment's page, until somebody accepts them with a note."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from featureflags.models import HistoryEntry, Segment
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.admin.flags.pages import as_one_who_may

pytestmark = pytest.mark.django_db

DOMAIN = rule(clause("email_domain", "in", "agpt.co"))
NAME = rule(clause("name", "contains", "Ada"))


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(UserFactory.create(superuser=True))
    return client


def change(segment: Segment) -> str:
    return reverse("admin:featureflags_segment_change", args=[segment.pk])


def accept(segment: Segment) -> str:
    return reverse("admin:featureflags_segment_accept", args=[segment.key])


def test_a_note_ends_them_and_stays_in_the_history(staff: Client) -> None:
    segment = SegmentFactory.create(key="s", rules=[DOMAIN])
    page = staff.get(change(segment)).content.decode()
    assert "Rule 1: it tests only what users write themselves (E-mail domain)." in page
    response = staff.post(accept(segment), {"note": "  It only shows a banner.\0 "}, follow=True)
    assert "it tests only what users write" not in response.content.decode()
    entry = HistoryEntry.objects.latest("pk")
    assert (entry.note, entry.before) == ("It only shows a banner.", entry.after)
    history = staff.get(reverse("admin:featureflags_segment_changes", args=["s"]))
    shown = history.content.decode()
    assert "It only shows a banner." in shown
    assert "Accepted: rules that test only what users write themselves." in shown
    # Twice is once.
    staff.post(accept(segment), {"note": "again"})
    assert HistoryEntry.objects.latest("pk") == entry


def test_another_rule_is_said_again(staff: Client) -> None:
    segment = SegmentFactory.create(key="s", rules=[DOMAIN])
    staff.post(accept(segment), {"note": "a banner"})
    segment.rules = [NAME, DOMAIN]
    segment.save()
    page = staff.get(change(segment)).content.decode()
    assert "Rule 1: it tests only what users write themselves (Name)." in page
    assert "Rule 2: it tests" not in page


def test_it_takes_a_note_and_the_permission(staff: Client) -> None:
    segment = SegmentFactory.create(key="s", rules=[DOMAIN])
    entries = HistoryEntry.objects.count()
    response = staff.post(accept(segment), {"note": " "}, follow=True)
    assert "Write why the rule is safe." in response.content.decode()
    viewer = as_one_who_may(Client(), "view_segment")
    page = viewer.get(change(segment)).content.decode()
    assert "it tests only what users write" in page
    assert "accept-note" not in page
    assert viewer.post(accept(segment), {"note": "mine"}).status_code == 403
    assert HistoryEntry.objects.count() == entries
    assert staff.get(accept(segment)).status_code == 405
    assert staff.post(reverse("admin:featureflags_segment_accept", args=["no"])).status_code == 404
