"""The history of a segment in the admin: shown in words, compared, restored; and deleted segments."""

from __future__ import annotations

import pytest
from cachalot.api import cachalot_disabled
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from featureflags.models import Segment
from featureflags.models.changesets import open_changeset
from tests.factories import SegmentMemberFactory, UserFactory, user_of
from tests.featureflags.admin.asking import answer
from tests.featureflags.admin.history.pages import DELETED, TEAM, first, history, last, restore

pytestmark = pytest.mark.django_db


def as_person(client: Client, *permissions: str) -> Client:
    user = UserFactory.create(staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return client


def compare(key: str, **chosen: object) -> str:
    query = "&".join(f"{name}={value}" for name, value in chosen.items())
    return f"{reverse('admin:featureflags_segment_compare', args=[key])}?{query}"


class TestHistory:
    def test_each_change_shows_who_when_what_how_many_and_why(
        self, staff: Client, paying: Segment
    ) -> None:
        UserFactory.create(metadata={"plan": "team"})
        paying.rules = TEAM
        paying.save()
        member = SegmentMemberFactory.create(segment=paying, user__email="vip@example.com")
        page = staff.get(history(paying))
        newest, changed, created = page.context["entries"]
        assert newest.lines == (f"Included 1 user: {user_of(member).email}",)
        assert changed.lines == (
            'Rule 1 (Paying): changed condition: plan is any of "pro"'
            ' → plan is any of "pro" or "team"',
        )
        assert (changed.who, changed.numbers) == ("the system", "+1, \u22120")
        assert (created.who, created.source, created.note) == (
            "Root",
            "in the admin",
            "For <sales>",
        )
        text = page.content.decode()
        assert "For &lt;sales&gt;" in text
        assert "version 2" in text

    def test_the_button_of_the_form_leads_here(self, staff: Client, paying: Segment) -> None:
        address = reverse("admin:featureflags_segment_history", args=[paying.pk])
        assert (
            address
            in staff.get(
                reverse("admin:featureflags_segment_change", args=[paying.pk])
            ).content.decode()
        )
        assert "Created as “Paying”" in staff.get(address).content.decode()
        gone = reverse("admin:featureflags_segment_history", args=[999])
        assert staff.get(gone).status_code == 302

    def test_who_may_not_see_users_reads_keys(self, client: Client, paying: Segment) -> None:
        member = SegmentMemberFactory.create(segment=paying, user__email="vip@example.com")
        nameless = UserFactory.create(name="", email="nameless@example.com")
        with open_changeset(actor=nameless):
            Segment.objects.filter(pk=paying.pk).update(name="Other")
        text = as_person(client, "view_segment").get(history(paying)).content.decode()
        assert "@example.com" not in text
        assert str(member.user_id) in text
        text = as_person(client, "view_segment", "view_user").get(history(paying)).content.decode()
        assert "vip@example.com" in text
        assert "nameless@example.com" in text

    def test_it_outlives_the_segment_and_its_members(self, staff: Client, paying: Segment) -> None:
        user_of(SegmentMemberFactory.create(segment=paying)).delete()
        paying.delete()
        page = staff.get(history("paying")).content.decode()
        assert "This segment is deleted." in page
        assert "Deleted “Paying”" in page
        assert "(deleted user)" in page
        assert "Restore what was deleted" in page

    def test_a_restored_version_is_marked(self, staff: Client, paying: Segment) -> None:
        paying.name = "Other"
        paying.save()
        answer(staff, staff.get(restore(first("paying"))))
        entry = staff.get(history(paying)).context["entries"][0]
        assert entry.restored_at == first("paying").at
        assert entry.lines == ("Name changed from “Other” to “Paying”",)

    def test_an_unknown_segment_is_404(self, staff: Client) -> None:
        assert staff.get(history("nobody")).status_code == 404

    def test_pages_of_25(self, staff: Client, paying: Segment) -> None:
        for number in range(30):
            Segment.objects.filter(pk=paying.pk).update(name=f"n{number}")
        assert len(staff.get(history(paying)).context["entries"]) == 25
        assert len(staff.get(history(paying), {"p": 2}).context["entries"]) == 6
        assert staff.get(history(paying), {"p": "x"}).status_code == 200

    def test_25_changes_cost_as_much_as_5(self, staff: Client, paying: Segment) -> None:
        def queries() -> int:
            with cachalot_disabled(), CaptureQueriesContext(connection) as captured:
                assert staff.get(history(paying)).status_code == 200
            return len(captured)

        queries()
        actors = UserFactory.create_batch(24)
        for actor in actors[:4]:
            with open_changeset(actor=actor):
                SegmentMemberFactory.create(segment=paying)
        few = queries()
        for actor in actors[4:]:
            with open_changeset(actor=actor):
                SegmentMemberFactory.create_batch(7, segment=paying)
        assert len(staff.get(history(paying)).context["entries"]) == 25
        assert queries() == few


class TestPermissions:
    def test_each_page_takes_the_permission_to_view_segments(
        self, client: Client, paying: Segment
    ) -> None:
        paying.name = "Other"
        paying.save()
        pages = (history(paying), compare("paying", old=first("paying").pk), DELETED)
        for page in pages:
            assert as_person(client, "view_user").get(page).status_code == 403
            assert as_person(client, "view_segment").get(page).status_code == 200
        client.logout()
        for page in (*pages, restore(first("paying"))):
            assert client.get(page).status_code == 302

    def test_a_viewer_cannot_restore_and_sees_no_button(
        self, client: Client, paying: Segment
    ) -> None:
        paying.name = "Other"
        paying.save()
        viewer = as_person(client, "view_segment")
        assert "Restore" not in viewer.get(history(paying)).content.decode()
        for call in (viewer.get, viewer.post):
            assert call(restore(first("paying"))).status_code == 403

    def test_what_is_deleted_takes_the_permission_to_add(
        self, client: Client, paying: Segment
    ) -> None:
        paying.delete()
        address = restore(last("paying"))
        assert as_person(client, "view_segment", "change_segment").get(address).status_code == 403
        assert as_person(client, "view_segment", "add_segment").get(address).status_code == 200

    def test_members_take_the_permissions_for_them(self, client: Client, paying: Segment) -> None:
        SegmentMemberFactory.create(segment=paying)
        address = restore(first("paying"))
        editor = ("view_segment", "change_segment")
        assert as_person(client, *editor).get(address).status_code == 403
        members = [f"{verb}_segmentmember" for verb in ("add", "change", "delete")]
        assert as_person(client, *editor, *members).get(address).status_code == 200


class TestCompare:
    def test_two_versions_side_by_side(self, staff: Client, paying: Segment) -> None:
        member = SegmentMemberFactory.create(segment=paying, user__email="vip@example.com")
        with_member = last("paying").pk
        paying.rules = TEAM
        paying.description = "More"
        paying.save()
        member.delete()
        page = staff.get(compare("paying", old=with_member, new="now"))
        assert page.context["lines"] == [
            "Description changed to “More”",
            'Rule 1 (Paying): changed condition: plan is any of "pro"'
            ' → plan is any of "pro" or "team"',
            "No longer includes 1 user: vip@example.com",
        ]
        differs = {row.label: row.differs for row in page.context["rows"]}
        changed = {name for name, is_other in differs.items() if is_other}
        assert changed == {"Description", "Rules"}
        assert list(differs) == ["Name", "Description", "Active", "Tags", "Owner", "Rules"]
        page = staff.get(compare("paying", old=first("paying").pk, new=with_member))
        assert page.context["lines"] == ["Included 1 user: vip@example.com"]

    def test_a_deleted_segment_with_what_it_was(self, staff: Client, paying: Segment) -> None:
        SegmentMemberFactory.create(segment=paying, user__email="vip@example.com")
        paying.delete()
        page = staff.get(compare("paying", old=first("paying").pk))
        assert page.context["lines"][0] == "Deleted “Paying”"
        page = staff.get(compare("paying", old=last("paying").pk, new=first("paying").pk))
        assert page.context["lines"][0] == "Created as “Paying”"

    @pytest.mark.parametrize("old", ["", "x", "999999", "-1"])
    def test_versions_that_do_not_exist(self, staff: Client, paying: Segment, old: str) -> None:
        assert staff.get(compare("paying", old=old)).status_code == 404

    def test_versions_of_another_segment(self, staff: Client, paying: Segment) -> None:
        other = first("employee").pk
        assert staff.get(compare("paying", old=other)).status_code == 404
        mine = first("paying").pk
        assert staff.get(compare("paying", old=mine, new=other)).status_code == 404
