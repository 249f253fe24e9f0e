"""What the admin asks before it saves or deletes a segment."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.fixtures import Settings

from featureflags.models import HistoryEntry, Segment
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from tests.featureflags.admin.asking import answer, is_asked, reasons
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

pytestmark = pytest.mark.django_db

LIST = reverse("admin:featureflags_segment_changelist")
ADD = reverse("admin:featureflags_segment_add")
PRO = [rule(clause("custom_plan", "in", "pro"))]
TEAM = [rule(clause("custom_plan", "in", "team"))]
EDITOR = ("add_segment", "change_segment", "delete_segment", "view_segment")


@pytest.fixture(autouse=True)
def flags(flag_file: FlagFile) -> FlagFile:
    flag_file(boolean_flag("new-checkout", rules=[segment_rule("paying")]))
    return flag_file


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(UserFactory.create(superuser=True))
    return client


@pytest.fixture
def paying() -> Segment:
    for number in range(3):
        UserFactory.create(email=f"pro{number}@example.com", metadata={"plan": "pro"})
        UserFactory.create(email=f"team{number}@example.com", metadata={"plan": "team"})
    return SegmentFactory.create(key="paying", name="Paying", rules=PRO)


@pytest.fixture
def quiet() -> Segment:
    """One that no flag targets and that moves nobody."""
    return SegmentFactory.create(key="quiet", name="Quiet")


def change(segment: Segment) -> str:
    return reverse("admin:featureflags_segment_change", args=[segment.pk])


def delete(segment: Segment) -> str:
    return reverse("admin:featureflags_segment_delete", args=[segment.pk])


def form(segment: Segment, **fields: Any) -> dict[str, Any]:
    """The form as it was filled, with what somebody types."""
    rules = fields.pop("rules", segment.rules)
    filled: dict[str, Any] = {
        "name": segment.name,
        "description": segment.description,
        "is_active": "on",
        "rules": json.dumps(rules),
        "note": "",
        "_version": segment.version,
        "_save": "Save",
        **fields,
    }
    return {name: value for name, value in filled.items() if value is not None}


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
        counts = [
            query["sql"]
            for query in queries
            if "COUNT(*) FILTER" in query["sql"] and query["sql"].count("FILTER") == 4
        ]
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


class TestDeactivating:
    def test_it_takes_the_key_where_a_flag_targets_the_segment(
        self, staff: Client, paying: Segment
    ) -> None:
        asked = staff.post(change(paying), form(paying, is_active=None))
        text = "A flag targets this segment, and will find nobody in it once it is deactivated"
        assert f"{text}: new-checkout." in reasons(asked)
        for keys in ((), ("",), ("Paying",)):
            asked = answer(staff, asked, keys=keys)
            assert is_asked(asked)
        assert "This is not the key. Type paying." in asked.content.decode()
        assert "Something has changed" not in asked.content.decode()
        assert Segment.objects.get(pk=paying.pk).is_active
        assert answer(staff, asked, keys=(" paying ",)).status_code == 302
        assert not Segment.objects.get(pk=paying.pk).is_active

    def test_the_key_alone_confirms_nothing(self, staff: Client, paying: Segment) -> None:
        data = form(paying, is_active=None, _key="paying")
        assert is_asked(staff.post(change(paying), data))
        assert Segment.objects.get(pk=paying.pk).is_active


class TestDeleting:
    def test_one_page_lists_what_is_deleted_and_asks_for_the_key(
        self, staff: Client, paying: Segment
    ) -> None:
        SegmentMemberFactory.create(segment=paying, user__email="vip@example.com")
        page = staff.get(delete(paying))
        assert is_asked(page)
        text = page.content.decode()
        for sentence in (
            "will find nobody in it once it is deleted: new-checkout.",
            "Deleted “Paying”",
            "No longer includes 1 user: vip@example.com",
            "\u22124",
        ):
            assert sentence in text
        assert is_asked(answer(staff, page))
        assert is_asked(answer(staff, page, keys=("quiet",)))
        assert Segment.objects.filter(key="paying").exists()
        gone = answer(staff, page, keys=("paying",), note="No longer sold")
        assert (gone.status_code, gone.url) == (302, LIST)
        assert not Segment.objects.filter(key="paying").exists()
        entry = HistoryEntry.objects.latest("pk")
        assert (entry.kind, entry.note, entry.leaving) == ("deleted", "No longer sold", 4)
        assert LogEntry.objects.get().action_flag == 3

    def test_a_post_past_the_page_deletes_nothing_that_has_to_be_confirmed(
        self, staff: Client, paying: Segment
    ) -> None:
        for data in ({"post": "yes"}, {"post": "yes", "_key": "paying"}):
            assert is_asked(staff.post(delete(paying), data))
        assert Segment.objects.filter(key="paying").exists()
        assert not LogEntry.objects.exists()

    def test_what_no_flag_targets_is_deleted_without_its_key(
        self, staff: Client, quiet: Segment
    ) -> None:
        page = staff.get(delete(quiet))
        assert "Type the key" not in page.content.decode()
        answer(staff, page)
        assert not Segment.objects.filter(key="quiet").exists()

    def test_it_asks_for_the_key_if_the_flags_are_unknown(
        self, staff: Client, quiet: Segment, settings: Settings
    ) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "SOURCE": "offline"}
        page = staff.get(delete(quiet))
        assert "LaunchDarkly has not sent any flags" in reasons(page)
        assert is_asked(answer(staff, page))
        assert answer(staff, page, keys=("quiet",)).status_code == 302

    def test_many_at_once_take_the_key_of_each_that_a_flag_targets(
        self, staff: Client, paying: Segment, quiet: Segment
    ) -> None:
        UserFactory.create_batch(60)
        other = SegmentFactory.create(key="other")
        chosen = [paying.pk, quiet.pk, other.pk]
        asked = staff.post(LIST, {"action": "delete_selected", "_selected_action": chosen})
        assert [(one.key, one.needs_key) for one in asked.context["shown"]] == [
            ("other", False),
            ("paying", True),
            ("quiet", False),
        ]
        assert Segment.objects.filter(pk__in=chosen).count() == 3
        again = answer(staff, asked)
        assert Segment.objects.filter(pk__in=chosen).count() == 3
        assert answer(staff, again, keys=("paying",)).status_code == 302
        assert not Segment.objects.filter(pk__in=chosen).exists()
        entries = HistoryEntry.objects.filter(kind="deleted")
        assert set(entries.values_list("segment_key", flat=True)) == {"paying", "quiet", "other"}

    def test_a_segment_with_thousands_of_members_costs_few_queries(
        self, staff: Client, quiet: Segment
    ) -> None:
        users = User.objects.bulk_create(User(email=f"m{n}@example.com") for n in range(2_000))
        quiet.members.bulk_create(quiet.members.model(segment=quiet, user=user) for user in users)
        with CaptureQueriesContext(connection) as queries:
            page = staff.get(delete(quiet))
        assert len(queries) < 50
        assert len(page.content) < 30_000
        assert "No longer includes 2,000 users:" in page.content.decode()

    def test_members_are_deleted_only_with_the_permission(
        self, client: Client, quiet: Segment
    ) -> None:
        editor = UserFactory.create(staff=True)
        editor.user_permissions.set(Permission.objects.filter(codename__in=EDITOR))
        client.force_login(editor)
        SegmentMemberFactory.create(segment=quiet)
        page = client.get(delete(quiet))
        assert not is_asked(page)
        assert "permission to delete" in page.content.decode()
        assert client.post(delete(quiet), {"post": "yes"}).status_code == 403
