"""What the admin asks before it saves or deletes a segment."""

from __future__ import annotations

import json

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from featureflags.models import HistoryEntry, Segment
from tests.factories import UserFactory, clause, rule
from tests.featureflags.admin.asking import answer, is_asked
from tests.featureflags.admin.shared.confirming import EDITOR, LIST, PRO, change, form

pytestmark = pytest.mark.django_db

ADD = reverse("admin:featureflags_segment_add")

TEAM = [rule(clause("custom_plan", "in", "team"))]


class TestSaving:
    def test_it_asks_with_numbers_people_and_flags_and_saves_only_then(
        self, staff: Client, paying: Segment
    ) -> None:
        asked = staff.post(change(paying), form(paying, rules=TEAM, note="Teams <pay> more"))
        assert is_asked(asked)
        page = asked.content.decode()
        for sentence in (
            "It moves more than 10 % of all users, or more than 1,000.",
            "A flag that is on uses this segment: new-checkout.",
            "+3",
            "\u22123",
            "pro2@example.com",
            "team0@example.com",
            "segments is any of &quot;paying&quot;",
            "Teams &lt;pay&gt; more",
        ):
            assert sentence in page
        paying.refresh_from_db()
        assert paying.rules == PRO
        assert not LogEntry.objects.exists()
        saved = answer(staff, asked)
        assert (saved.status_code, saved.url) == (302, LIST)
        paying.refresh_from_db()
        assert paying.rules == TEAM
        entry = HistoryEntry.objects.latest("pk")
        assert (entry.entering, entry.leaving) == (3, 3)
        assert (entry.note, entry.source) == ("Teams <pay> more", "admin")

    def test_the_numbers_that_were_shown_are_not_counted_again(
        self, staff: Client, paying: Segment
    ) -> None:
        asked = staff.post(change(paying), form(paying, rules=TEAM))
        with CaptureQueriesContext(connection) as queries:
            answer(staff, asked)
        # Once to see that nothing has changed; the stored sizes are counted by a task of their own.
        counts = [query["sql"] for query in queries if "AS people GROUP BY" in query["sql"]]
        assert len(counts) == 1

    def test_a_change_that_moves_nobody_in_an_unused_segment_is_saved_at_once(
        self, staff: Client, quiet: Segment
    ) -> None:
        saved = staff.post(change(quiet), form(quiet, name="Other", note="Clearer"))
        assert saved.status_code == 302
        assert Segment.objects.get(pk=quiet.pk).name == "Other"
        assert HistoryEntry.objects.latest("pk").note == "Clearer"

    def test_a_new_name_needs_no_confirmation_even_if_a_flag_uses_the_segment(
        self, staff: Client, paying: Segment
    ) -> None:
        assert staff.post(change(paying), form(paying, name="Payers")).status_code == 302

    def test_adding_asks_too(self, staff: Client, paying: Segment) -> None:
        data = form(Segment(key="new", name="New"), key="new", rules=PRO, _version=None)
        asked = staff.post(ADD, data)
        assert is_asked(asked)
        assert not Segment.objects.filter(key="new").exists()
        answer(staff, asked)
        assert Segment.objects.get(key="new").rules == PRO

    def test_the_button_that_was_pressed_is_remembered(
        self, staff: Client, paying: Segment
    ) -> None:
        data = form(paying, rules=TEAM, _save=None, _continue="Save and continue editing")
        saved = answer(staff, staff.post(change(paying), data))
        assert saved.url == change(paying)

    def test_back_shows_what_was_typed_and_saves_nothing(
        self, staff: Client, paying: Segment
    ) -> None:
        typed = json.dumps(TEAM, indent=7)
        data = form(paying, name="<Mine>", rules=TEAM, note="Because") | {"rules": typed}
        asked = staff.post(change(paying), data)
        back = answer(staff, asked, _back="1", note="Because of that")
        assert back.status_code == 200
        shown = back.context["adminform"].form
        assert not shown.errors
        assert (shown["name"].value(), shown["rules"].value()) == ("<Mine>", typed)
        assert shown["note"].value() == "Because of that"
        assert 'class="errornote"' not in back.content.decode()
        assert f'name="_version" value="{paying.version}"' in back.content.decode()
        paying.refresh_from_db()
        assert (paying.name, paying.rules) == ("Paying", PRO)

    def test_who_may_not_see_users_sees_numbers_alone(
        self, client: Client, paying: Segment
    ) -> None:
        editor = UserFactory.create(staff=True)
        editor.user_permissions.set(Permission.objects.filter(codename__in=EDITOR))
        client.force_login(editor)
        page = client.post(change(paying), form(paying, rules=TEAM)).content.decode()
        assert "+3" in page
        assert "@example.com" not in page

    def test_it_asks_again_once_something_has_changed(self, staff: Client, paying: Segment) -> None:
        asked = staff.post(change(paying), form(paying, rules=TEAM))
        UserFactory.create(metadata={"plan": "team"})
        again = answer(staff, asked)
        assert is_asked(again)
        assert "Something has changed since you were asked." in again.content.decode()
        assert "+4" in again.content.decode()
        assert answer(staff, again).status_code == 302
        paying.refresh_from_db()
        assert paying.rules == TEAM

    def test_the_token_of_another_change_confirms_nothing(
        self, staff: Client, paying: Segment
    ) -> None:
        asked = staff.post(change(paying), form(paying, rules=TEAM))
        other = answer(staff, asked, rules=json.dumps([*PRO, *TEAM]))
        assert is_asked(other)
        forged = answer(staff, asked, _confirmed="yes")
        assert is_asked(forged)
        paying.refresh_from_db()
        assert paying.rules == PRO

    def test_a_form_that_is_wrong_is_not_asked_about(self, staff: Client, paying: Segment) -> None:
        wrong = staff.post(change(paying), form(paying, rules=[rule()]))
        assert "Rule 1: add at least one condition" in wrong.content.decode()
