"""The history of a segment in the admin: shown in words, compared, restored; and deleted segments."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from cachalot.api import cachalot_disabled
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from featureflags.models import HistoryEntry, Segment, SegmentMember
from featureflags.models.changesets import open_changeset
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from tests.featureflags.admin.asking import answer, is_asked, reasons
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

pytestmark = pytest.mark.django_db

PRO = [rule(clause("custom_plan", "in", "pro"), description="Paying")]
TEAM = [rule(clause("custom_plan", "in", "pro", "team"), description="Paying")]
DELETED = reverse("admin:featureflags_deleted_segments")


@pytest.fixture(autouse=True)
def flags(flag_file: FlagFile) -> FlagFile:
    flag_file()
    return flag_file


@pytest.fixture
def root() -> User:
    return UserFactory.create(superuser=True, email="root@agpt.co", name="Root")


@pytest.fixture
def staff(client: Client, root: User) -> Client:
    client.force_login(root)
    return client


@pytest.fixture
def paying(root: User) -> Segment:
    with open_changeset(actor=root, note="For <sales>", source="admin"):
        return SegmentFactory.create(key="paying", name="Paying", rules=PRO)


def as_person(client: Client, *permissions: str) -> Client:
    user = UserFactory.create(staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return client


def history(segment: Segment | str) -> str:
    key = segment if isinstance(segment, str) else segment.key
    return reverse("admin:featureflags_segment_changes", args=[key])


def compare(key: str, **chosen: object) -> str:
    query = "&".join(f"{name}={value}" for name, value in chosen.items())
    return f"{reverse('admin:featureflags_segment_compare', args=[key])}?{query}"


def restore(change: HistoryEntry) -> str:
    return reverse("admin:featureflags_segment_restore", args=[change.pk])


def first(key: str) -> HistoryEntry:
    change = HistoryEntry.objects.filter(segment_key=key).last()
    assert change is not None
    return change


def last(key: str) -> HistoryEntry:
    change = HistoryEntry.objects.filter(segment_key=key).first()
    assert change is not None
    return change


def shown(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


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
        assert newest.lines == (f"Included 1 user: {member.user.email}",)
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
        SegmentMemberFactory.create(segment=paying).user.delete()
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
        assert differs == {"Name": False, "Description": True, "Active": False, "Rules": True}
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


class TestRestore:
    def test_it_shows_first_what_it_does_and_a_post_writes_it(
        self, staff: Client, paying: Segment, root: User
    ) -> None:
        UserFactory.create_batch(20)
        payer = UserFactory.create(metadata={"plan": "team"})
        vip = SegmentMemberFactory.create(segment=paying, reason="VIP")
        wanted = last("paying")
        vip.delete()
        paying.name, paying.rules = "Other", TEAM
        paying.save()
        page = staff.get(restore(wanted))
        assert is_asked(page)
        text = page.content.decode()
        assert "Name changed from “Other” to “Paying”" in text
        assert f"Included 1 user: {vip.user.email}" in text
        assert payer.email in text
        assert Segment.objects.get(key="paying").name == "Other"
        done = answer(staff, page, note="A mistake")
        assert (done.status_code, done.url) == (302, history("paying"))
        segment = Segment.objects.get(key="paying")
        assert (segment.name, segment.rules, segment.version) == ("Paying", PRO, 3)
        member = SegmentMember.objects.get()
        assert (member.user, member.kind, member.reason) == (vip.user, "include", "VIP")
        entry = last("paying")
        assert (entry.actor, entry.note, entry.restored) == (root, "A mistake", wanted)
        assert (entry.entering, entry.leaving) == (1, 1)
        assert LogEntry.objects.get().change_message.startswith("Restored version 1, ")

    def test_a_get_or_an_empty_post_writes_nothing(self, staff: Client, paying: Segment) -> None:
        paying.name = "Other"
        paying.save()
        staff.get(restore(first("paying")))
        assert is_asked(staff.post(restore(first("paying"))))
        assert Segment.objects.get(key="paying").name == "Other"

    def test_it_asks_again_once_somebody_has_saved(self, staff: Client, paying: Segment) -> None:
        paying.name = "Other"
        paying.save()
        page = staff.get(restore(first("paying")))
        paying.name = "Another"
        paying.save()
        again = answer(staff, page)
        assert is_asked(again)
        assert "Something has changed since you were asked." in again.content.decode()
        assert Segment.objects.get(key="paying").name == "Another"
        answer(staff, again)
        assert Segment.objects.get(key="paying").name == "Paying"

    def test_the_guards_hold_here_too(
        self, staff: Client, paying: Segment, flags: FlagFile
    ) -> None:
        Segment.objects.filter(pk=paying.pk).update(is_active=False)
        off = last("paying")
        Segment.objects.filter(pk=paying.pk).update(is_active=True)
        flags(boolean_flag("new-checkout", rules=[segment_rule("paying")]))
        page = staff.get(restore(off))
        assert "new-checkout" in reasons(page)
        assert is_asked(answer(staff, page))
        assert Segment.objects.get(key="paying").is_active
        answer(staff, page, keys=("paying",))
        assert not Segment.objects.get(key="paying").is_active

    def test_a_deleted_segment_comes_back_with_its_members(
        self, staff: Client, paying: Segment
    ) -> None:
        soon = timezone.now() + datetime.timedelta(days=3)
        vip = SegmentMemberFactory.create(segment=paying, reason="VIP", expires_at=soon)
        out = SegmentMemberFactory.create(segment=paying, kind="exclude")
        gone = SegmentMemberFactory.create(segment=paying)
        short = SegmentMemberFactory.create(segment=paying, expires_at=soon)
        ended = timezone.now() - datetime.timedelta(seconds=1)
        SegmentMember.objects.filter(pk=short.pk).update(expires_at=ended)
        paying.delete()
        gone.user.delete()
        listed = staff.get(DELETED)
        assert [one.entry.segment_key for one in listed.context["segments"]] == ["paying"]
        page = staff.get(restore(last("paying")))
        assert "1 membership has ended since, and is not restored." in page.content.decode()
        answer(staff, page)
        segment = Segment.objects.get(key="paying")
        assert (segment.rules, segment.version) == (PRO, 2)
        members = {
            member.user: (member.kind, member.reason, member.expires_at)
            for member in segment.members.all()
        }
        assert members == {vip.user: ("include", "VIP", soon), out.user: ("exclude", "", None)}
        entry = last("paying")
        assert entry.kind == "created"
        assert not staff.get(DELETED).context["segments"]

    def test_any_version_of_a_deleted_segment_comes_back(
        self, staff: Client, paying: Segment
    ) -> None:
        paying.name = "Other"
        paying.save()
        paying.delete()
        answer(staff, staff.get(restore(first("paying"))))
        assert Segment.objects.get(key="paying").name == "Paying"

    def test_what_may_not_be_saved_any_more_is_said(self, staff: Client) -> None:
        SegmentFactory.create(key="base")
        above = SegmentFactory.create(key="above", rules=[rule(clause("", "segmentMatch", "base"))])
        above.rules = []
        above.save()
        Segment.objects.get(key="base").delete()
        page = staff.get(restore(first("above")))
        answered = answer(staff, page)
        response = staff.get(answered.url)
        assert shown(response) == [
            "It cannot be restored: Rule 1, condition 1: there is no segment “base”"
        ]
        assert Segment.objects.get(key="above").rules == []

    def test_what_is_so_already_needs_nothing(self, staff: Client, paying: Segment) -> None:
        response = staff.get(restore(first("paying")), follow=True)
        assert shown(response) == ["There is nothing to restore: the segment is the same now."]

    def test_unknown_changes(self, staff: Client) -> None:
        address = reverse("admin:featureflags_segment_restore", args=[10**9])
        assert staff.get(address).status_code == 404


def test_the_list_of_deleted_segments_costs_as_much_for_25_as_for_5(
    staff: Client, paying: Segment
) -> None:
    def queries() -> int:
        with cachalot_disabled(), CaptureQueriesContext(connection) as captured:
            assert staff.get(DELETED).status_code == 200
        return len(captured)

    queries()
    for segment in SegmentFactory.create_batch(5):
        segment.delete()
    few = queries()
    for segment in SegmentFactory.create_batch(25):
        SegmentMemberFactory.create(segment=segment)
        segment.delete()
    assert len(staff.get(DELETED).context["segments"]) == 25
    assert queries() == few


def test_what_was_created_again_is_not_listed_as_deleted(staff: Client, paying: Segment) -> None:
    paying.delete()
    SegmentFactory.create(key="paying").delete()
    (listed,) = staff.get(DELETED).context["segments"]
    assert listed.entry.id == last("paying").pk
    SegmentFactory.create(key="paying")
    assert not staff.get(DELETED).context["segments"]
