"""The page that asks before a segment is deleted or deactivated."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.fixtures import Settings

from featureflags.models import HistoryEntry, Segment
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory
from tests.featureflags.admin.asking import answer, is_asked, reasons
from tests.featureflags.admin.shared.confirming import EDITOR, LIST, change, form
from users.models import User

pytestmark = pytest.mark.django_db


def delete(segment: Segment) -> str:
    return reverse("admin:featureflags_segment_delete", args=[segment.pk])


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
