"""Restoring an earlier version of a segment, also of one that was deleted."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from cachalot.api import cachalot_disabled
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from featureflags.models import Segment, SegmentMember
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule, user_of
from tests.featureflags.admin.asking import answer, is_asked, reasons
from tests.featureflags.admin.history.pages import DELETED, PRO, TEAM, first, history, last, restore
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

pytestmark = pytest.mark.django_db


def shown(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


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
        assert f"Included 1 user: {user_of(vip).email}" in text
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
        user_of(gone).delete()
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
