"""Drafts: one person tested against what is typed, everybody whom it matches, and an address for a colleague."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from featureflags.core.timetable import TIMETABLE
from featureflags.kinds.compiled import CompiledKind
from featureflags.models import HistoryEntry, Segment, SegmentDraft
from featureflags.models.drafts import MOST_OF_ONE
from featureflags.tasks import delete_ended_drafts
from tests.customers.organizations import ORGANIZATION
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from users.models import User

pytestmark = pytest.mark.django_db

KEEP = reverse("admin:featureflags_draft_keep")
TRY = reverse("admin:featureflags_preview_person")
PRO = [rule(clause("custom_plan", "in", "pro"))]
TEAM = [rule(clause("custom_plan", "in", "team"), clause("email_verified", "in", True))]


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(UserFactory.create(superuser=True, name="Ada"))
    return client


@pytest.fixture(autouse=True)
def paying() -> Segment:
    UserFactory.create(email="pro@example.com", name="Pia Pro", metadata={"plan": "pro"})
    UserFactory.create(email="team@example.com", name="Tom Team", metadata={"plan": "team"})
    kept = UserFactory.create(email="kept@example.com", name="Kai Kept")
    segment: Segment = SegmentFactory.create(key="paying", name="Paying", rules=PRO)
    SegmentMemberFactory.create(segment=segment, user=kept)
    return segment


def typed(rules: Any = TEAM, **fields: Any) -> dict[str, Any]:
    text = rules if isinstance(rules, str) else json.dumps(rules)
    return {"name": "Paying", "description": "", "is_active": "on", "rules": text, **fields}


def kept(client: Client, rules: Any = TEAM, **fields: Any) -> str:
    answer = client.post(f"{KEEP}?segment=paying", typed(rules, _version="1", **fields))
    assert answer.status_code == 302
    return answer.headers["Location"]


def tried(client: Client, who: str, segment: str = "paying", rules: Any = TEAM) -> str:
    sent = {"segment": segment, "rules": json.dumps(rules), "is_active": "on", "who": who}
    answer = client.post(TRY, sent)
    assert answer.status_code == 200
    return answer.content.decode()


class TestOnePerson:
    def test_who_would_enter_or_leave_and_why(self, staff: Client) -> None:
        page = tried(staff, "Tom")
        assert "Tom Team is in “paying”: rule 1 matches." in page
        assert "they would enter" in page
        page = tried(staff, "pro@example.com")
        assert "Pia Pro is not in “paying”: no rule matches." in page
        assert "they would leave" in page
        assert "plan: &quot;pro&quot;" in page or "pro" in page
        assert "the same" in tried(staff, "kept@")

    def test_a_stored_member_by_name_counts(self, staff: Client) -> None:
        assert "included by name" in tried(staff, "Kai")

    def test_several_are_offered_and_nobody_is_said(self, staff: Client) -> None:
        page = tried(staff, "@example.com")
        assert page.count('name="who"') >= 3
        assert "Nobody has this key" in tried(staff, "zzz")

    def test_a_new_segment(self, staff: Client) -> None:
        assert "Tom Team is in “the new segment”" in tried(staff, "Tom", segment="")

    def test_what_is_not_finished_is_said(self, staff: Client) -> None:
        page = tried(staff, "Tom", rules=[rule(clause("custom_plan", "nonsense", "x"))])
        assert "Not finished yet" in page
        assert staff.post(TRY, {"segment": "paying", "rules": "[", "who": "Tom"}).status_code == 200

    def test_nothing_is_written(self, staff: Client, paying: Segment) -> None:
        before = HistoryEntry.objects.count()
        tried(staff, "Tom")
        kept(staff)
        assert HistoryEntry.objects.count() == before
        paying.refresh_from_db()
        assert paying.rules == PRO

    def test_it_takes_the_permission_to_view_users(self, client: Client) -> None:
        viewer = UserFactory.create(staff=True)
        viewer.user_permissions.set(Permission.objects.filter(codename="view_segment"))
        client.force_login(viewer)
        assert client.post(TRY, {"segment": "paying", "who": "Tom"}).status_code == 403


class TestDraft:
    def test_it_shows_what_differs_and_the_numbers(self, staff: Client) -> None:
        page = staff.get(kept(staff, name="Teams")).content.decode()
        for text in (
            "Kept by Ada",
            "Name changed from “Paying” to “Teams”",
            "+1 enter",
            "−1 leave",
        ):
            assert text in page

    def test_one_person_is_tested_there_too(self, staff: Client) -> None:
        page = staff.post(kept(staff), {"who": "Tom"}).content.decode()
        assert "they would enter" in page

    def test_everybody_is_listed_with_what_changes(self, staff: Client) -> None:
        address = f"{kept(staff)}people/"

        def marks(**query: str) -> dict[str, str]:
            rows = staff.get(address, query).context["people"].rows
            return {row.name: row.mark for row in rows}

        everybody = {"Tom Team": "enters", "Pia Pro": "leaves", "Kai Kept": "stays"}
        assert marks() == everybody
        assert marks(show="entering") == {"Tom Team": "enters"}
        assert marks(show="leaving") == {"Pia Pro": "leaves"}
        assert marks(q="tom") == {"Tom Team": "enters"}

    def test_the_list_has_pages(self, staff: Client) -> None:
        for number in range(60):
            UserFactory.create(
                email=f"t{number:02}@example.com", metadata={"plan": "team"}, email_verified=True
            )
        address = f"{kept(staff)}people/?show=entering"
        first = staff.get(address).context["people"]
        assert len(first.rows) == 50
        assert not first.previous
        second = staff.get(address.partition("?")[0] + first.next).context["people"]
        assert len(second.rows) == 11
        assert second.previous

    def test_a_draft_of_a_new_segment(self, staff: Client) -> None:
        answer = staff.post(KEEP, typed(key="teams"))
        page = staff.get(answer.headers["Location"])
        assert page.context["editor"]["fields"]["key"] == "teams"
        rows = staff.get(f"{answer.headers['Location']}people/").context["people"].rows
        assert {row.mark for row in rows} == {"enters"}

    def test_an_inactive_draft_loses_everybody(self, staff: Client) -> None:
        answer = staff.post(f"{KEEP}?segment=paying", {**typed(PRO), "is_active": ""})
        rows = staff.get(f"{answer.headers['Location']}people/").context["people"].rows
        assert {row.mark for row in rows} == {"leaves"}

    def test_it_opens_in_the_editor_without_being_saved(
        self, staff: Client, paying: Segment
    ) -> None:
        editor = staff.get(kept(staff, name="Teams", tags="beta")).context["editor"]
        page = staff.post(editor["address"], editor["fields"])
        form = page.context["adminform"].form
        assert form["name"].value() == "Teams"
        assert "team" in page.content.decode()
        assert form["tags"].value() == "beta"
        paying.refresh_from_db()
        assert paying.name == "Paying"

    def test_the_note_and_the_member_by_name_come_back_with_it(
        self, staff: Client, paying: Segment
    ) -> None:
        tom = User.objects.get(email="team@example.com")
        typed_beside = {
            "note": "why\nnot",
            "by_name-user": str(tom.pk),
            "by_name-kind": "exclude",
            "by_name-reason": 'Asked "to" leave',
            "by_name-starts_at_0": "2030-01-01",
            "by_name-starts_at_1": "08:30",
        }
        address = kept(staff, **typed_beside)
        editor = staff.get(address).context["editor"]
        assert typed_beside.items() <= editor["fields"].items()
        page = staff.post(editor["address"], editor["fields"])
        assert page.context["adminform"].form["note"].value() == "why\nnot"
        assert page.context["member_form"]["reason"].value() == 'Asked "to" leave'
        assert not paying.members.filter(user=tom).exists()

        editing = UserFactory.create(staff=True)
        may = ("view_segment", "change_segment")
        editing.user_permissions.set(Permission.objects.filter(codename__in=may))
        other = Client()
        other.force_login(editing)
        fields = other.get(address).context["editor"]["fields"]
        assert fields["note"] == "why\nnot"
        assert not [name for name in fields if name.startswith("by_name")]

    def test_a_draft_of_an_archived_segment_leaves_it_there(self, staff: Client) -> None:
        Segment.objects.filter(key="paying").update(is_archived=True, is_active=False)
        page = staff.get(kept(staff, name="Teams", is_active="")).content.decode()
        assert "Taken out of the archive" not in page

    def test_what_is_wrong_must_be_corrected_first(self, staff: Client) -> None:
        for rules in ("[", [rule(clause("custom_plan", "nonsense", "x"))]):
            answer = staff.post(f"{KEEP}?segment=paying", typed(rules))
            assert answer.status_code == 200
            assert "Correct this first" in answer.content.decode()
        assert not SegmentDraft.objects.exists()

    def test_a_colleague_who_may_view_opens_it_and_sees_no_people(
        self, staff: Client, client: Client
    ) -> None:
        address = kept(staff)
        viewer = UserFactory.create(staff=True)
        viewer.user_permissions.set(Permission.objects.filter(codename="view_segment"))
        other = Client()
        other.force_login(viewer)
        page = other.get(address)
        assert page.status_code == 200
        assert "tom" not in page.content.decode().lower().replace("custom", "")
        assert page.context["editor"] == {}
        assert other.get(f"{address}people/").status_code == 403
        stranger = Client()
        stranger.force_login(UserFactory.create(staff=True))
        assert stranger.get(address).status_code == 403
        assert Client().get(address).status_code == 302

    def test_its_segment_was_deleted_in_the_meantime(self, staff: Client, paying: Segment) -> None:
        address = kept(staff)
        paying.delete()
        page = staff.get(address)
        assert "The segment was deleted since this draft was made." in page.content.decode()
        assert page.context["editor"]["fields"]["key"] == "paying"
        assert "Tom Team is in" in staff.post(address, {"who": "Tom"}).content.decode()
        people = staff.get(f"{address}people/").content.decode()
        assert "enters" in people
        assert "leaves" not in people
        form = staff.post(page.context["editor"]["address"], page.context["editor"]["fields"])
        assert form.context["adminform"].form["key"].value() == "paying"

    def test_its_key_is_that_of_a_segment_of_another_kind_now(
        self, staff: Client, paying: Segment, organizations: CompiledKind
    ) -> None:
        address = kept(staff)
        paying.delete()
        large = [rule(clause("seats", "greaterThan", 50))]
        SegmentFactory.create(key="paying", kind=ORGANIZATION, rules=large)
        page = staff.get(address).content.decode()
        assert "The segment was deleted since this draft was made." in page
        assert "leave" not in page.partition("What differs")[0]
        people = staff.get(f"{address}people/").content.decode()
        assert "enters" in people
        assert "leaves" not in people
        assert "Tom Team is in" in staff.post(address, {"who": "Tom"}).content.decode()

    def test_it_ends(self, staff: Client) -> None:
        address = kept(staff)
        past = timezone.now() - datetime.timedelta(seconds=1)
        SegmentDraft.objects.update(expires_at=past)
        assert staff.get(address).status_code == 404
        assert staff.get(f"{address}people/").status_code == 404

    def test_the_clock_deletes_those_that_have_ended(self, staff: Client) -> None:
        for _number in range(3):
            kept(staff)
        ended = SegmentDraft.objects.order_by("pk")[:2]
        now = timezone.now()
        SegmentDraft.objects.filter(pk__in=ended.values("pk")).update(expires_at=now)
        assert any(entry.task == "featureflags.tasks.delete_ended_drafts" for entry in TIMETABLE)
        assert delete_ended_drafts.delay().get() == 2
        assert delete_ended_drafts.delay().get() == 0
        assert SegmentDraft.objects.get().expires_at > now

    def test_one_person_keeps_only_so_many(self, staff: Client) -> None:
        author = User.objects.get(name="Ada")
        state = SegmentDraft.objects.get(token=kept(staff).rstrip("/").rpartition("/")[2]).state
        SegmentDraft.objects.bulk_create(
            SegmentDraft(segment_key="paying", state=state, author=author)
            for _number in range(MOST_OF_ONE + 3)
        )
        kept(staff)
        assert SegmentDraft.objects.count() == MOST_OF_ONE
