"""The history of a segment over REST, and restoring a version."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from featureflags.models import HistoryEntry, Segment
from featureflags.models.changesets import open_changeset
from tests.factories import SegmentMemberFactory, staff_with
from tests.featureflags.api.confirming.segment import ONE, PRO, TEAM, URL
from tests.users.api.conftest import Caller
from users.models import User

pytestmark = pytest.mark.django_db


class TestHistory:
    def test_the_changes_in_words_and_numbers(
        self, root: APIClient, paying: Segment, actor: User
    ) -> None:
        with open_changeset(actor=actor, note="Teams", source="api"):
            paying.rules = TEAM
            paying.save()
        body = root.get(f"{ONE}history/").json()
        assert body["count"] == 2
        newest = body["results"][0]
        assert (newest["who"], newest["note"], newest["via"]) == (
            "Root",
            "Teams",
            "through the API",
        )
        assert (newest["entering"], newest["leaving"], newest["at_least"]) == (3, 3, False)
        assert newest["changes"][0].startswith("Rule 1: changed condition")
        assert body["results"][1]["kind"] == "created"
        assert len(root.get(f"{ONE}history/", {"page_size": 1}).json()["results"]) == 1

    def test_a_deleted_segment_has_a_history_and_an_unknown_one_has_none(
        self, root: APIClient, paying: Segment
    ) -> None:
        paying.delete()
        assert root.get(f"{ONE}history/").json()["results"][0]["kind"] == "deleted"
        assert root.get(f"{URL}nobody/history/").status_code == 404

    def test_it_takes_the_permission_to_view(self, by_session: Caller, paying: Segment) -> None:
        assert APIClient().get(f"{ONE}history/").status_code == 401
        member = SegmentMemberFactory.create(segment=paying)
        assert by_session(staff_with("view_user")).get(f"{ONE}history/").status_code == 403
        seen = by_session(staff_with("view_segment")).get(f"{ONE}history/")
        assert seen.status_code == 200
        assert str(member.user_id) in seen.content.decode()
        assert "@" not in seen.content.decode()

    def test_25_cost_as_much_as_5(self, root: APIClient, paying: Segment) -> None:
        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                assert root.get(f"{ONE}history/").status_code == 200
            return len(captured)

        queries()
        SegmentMemberFactory.create_batch(5, segment=paying)
        few = queries()
        SegmentMemberFactory.create_batch(25, segment=paying)
        assert queries() == few


class TestRestore:
    def test_it_asks_and_then_makes_a_new_change(self, root: APIClient, paying: Segment) -> None:
        wanted = HistoryEntry.objects.latest("pk")
        paying.rules = TEAM
        paying.save()
        refused = root.post(f"{ONE}restore/", {"change": wanted.pk})
        assert refused.status_code == 409
        token = refused.json()["confirm"]
        body = {"change": wanted.pk, "confirm": token, "note": "Undo"}
        done = root.post(f"{ONE}restore/", body)
        assert (done.status_code, done.json()["version"], done.json()["rules"]) == (200, 3, PRO)
        entry = HistoryEntry.objects.latest("pk")
        assert (entry.restored, entry.note, entry.source) == (wanted, "Undo", "api")

    def test_what_is_deleted_comes_back(self, root: APIClient, paying: Segment) -> None:
        paying.delete()
        change = HistoryEntry.objects.latest("pk")
        done = root.post(f"{ONE}restore/", {"change": change.pk, "confirm": True})
        assert (done.status_code, done.json()["version"]) == (200, 2)

    def test_a_change_of_another_segment_is_404(self, root: APIClient, paying: Segment) -> None:
        other = HistoryEntry.objects.filter(segment_key="employee").latest("pk")
        assert root.post(f"{ONE}restore/", {"change": other.pk}).status_code == 404

    def test_it_takes_the_permissions_of_what_it_does(
        self, by_session: Caller, paying: Segment
    ) -> None:
        wanted = HistoryEntry.objects.latest("pk")
        SegmentMemberFactory.create(segment=paying)
        body = {"change": wanted.pk, "confirm": True}

        def call(*permissions: str) -> int:
            answer = by_session(staff_with(*permissions)).post(f"{ONE}restore/", body)
            return int(answer.status_code)

        assert APIClient().post(f"{ONE}restore/", body).status_code == 401
        assert call("view_segment") == 403
        assert call("view_segment", "change_segment") == 403
        members = [f"{verb}_segmentmember" for verb in ("add", "change", "delete")]
        assert call("view_segment", *members) == 403
        assert call("view_segment", "change_segment", *members) == 200
