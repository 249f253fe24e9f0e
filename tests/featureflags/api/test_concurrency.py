"""What the API refuses until it is confirmed, stale versions, and the history of a segment."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from featureflags.models import HistoryEntry, Segment, SegmentMember
from featureflags.models.changesets import open_changeset
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from tests.services.flag_json import boolean_flag, segment_rule
from tests.users.api.conftest import Caller
from users.models import User

pytestmark = pytest.mark.django_db

URL = "/api/v1/segments/"
ONE = f"{URL}paying/"
MEMBERS = f"{ONE}members/"
PRO = [rule(clause("custom_plan", "in", "pro"))]
TEAM = [rule(clause("custom_plan", "in", "team"))]


@pytest.fixture(autouse=True)
def flags(flag_file: FlagFile) -> FlagFile:
    flag_file(boolean_flag("new-checkout", rules=[segment_rule("paying")]))
    return flag_file


@pytest.fixture
def actor() -> User:
    return UserFactory.create(superuser=True, name="Root")


@pytest.fixture
def root(by_session: Caller, actor: User) -> APIClient:
    return by_session(actor)


@pytest.fixture
def paying() -> Segment:
    for number in range(3):
        UserFactory.create(email=f"pro{number}@example.com", metadata={"plan": "pro"})
        UserFactory.create(email=f"team{number}@example.com", metadata={"plan": "team"})
    return SegmentFactory.create(key="paying", name="Paying", rules=PRO)


def staff_with(by_session: Caller, *permissions: str) -> APIClient:
    user = UserFactory.create(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return by_session(user)


class TestSaving:
    def test_409_with_the_numbers_until_it_is_confirmed(
        self, root: APIClient, paying: Segment, actor: User
    ) -> None:
        refused = root.patch(ONE, {"rules": TEAM, "note": "Teams pay"})
        assert refused.status_code == 409
        body = refused.json()
        assert body["reasons"] == ["many", "flags"]
        assert body["changes"] == [
            'Rule 1: changed condition: plan is any of "pro" → plan is any of "team"'
        ]
        assert (body["entering"]["at_least"], body["entering"]["exact"]) == (3, True)
        assert {user["email"] for user in body["leaving"]["sample"]} == {
            f"pro{number}@example.com" for number in range(3)
        }
        assert [(flag["flag"], flag["live"]) for flag in body["flags"]] == [("new-checkout", True)]
        assert Segment.objects.get(key="paying").rules == PRO
        confirmed = {"rules": TEAM, "note": "Teams pay", "confirm": body["confirm"]}
        done = root.patch(ONE, confirmed)
        assert (done.status_code, done.json()["version"]) == (200, 2)
        assert {"confirm", "note"}.isdisjoint(done.json())
        entry = HistoryEntry.objects.latest("pk")
        assert (entry.actor, entry.source, entry.note) == (actor, "api", "Teams pay")
        assert (entry.entering, entry.leaving) == (3, 3)

    def test_true_confirms_any_change(self, root: APIClient, paying: Segment) -> None:
        assert root.patch(ONE, {"rules": TEAM, "confirm": True}).status_code == 200

    @pytest.mark.parametrize("confirm", [False, "", "yes", "true"])
    def test_nothing_else_does(self, root: APIClient, paying: Segment, confirm: Any) -> None:
        assert root.patch(ONE, {"rules": TEAM, "confirm": confirm}).status_code == 409
        assert Segment.objects.get(key="paying").rules == PRO

    @pytest.mark.parametrize("confirm", [1, None, [], {}])
    def test_an_invalid_confirmation_is_400(
        self, root: APIClient, paying: Segment, confirm: Any
    ) -> None:
        answer = root.patch(ONE, {"rules": TEAM, "confirm": confirm})
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["confirm"])

    def test_a_confirmation_is_valid_for_exactly_what_was_shown(
        self, root: APIClient, paying: Segment
    ) -> None:
        token = root.patch(ONE, {"rules": TEAM}).json()["confirm"]
        assert root.patch(ONE, {"rules": [*PRO, *TEAM], "confirm": token}).status_code == 409
        UserFactory.create(metadata={"plan": "team"})
        again = root.patch(ONE, {"rules": TEAM, "confirm": token})
        assert (again.status_code, again.json()["entering"]["at_least"]) == (409, 4)

    def test_a_whole_put_and_a_new_one_ask_too(self, root: APIClient, paying: Segment) -> None:
        put = {"key": "paying", "name": "Paying", "rules": TEAM}
        assert root.put(ONE, put).status_code == 409
        made = {"key": "new", "name": "New", "rules": PRO}
        assert root.post(URL, made).status_code == 409
        assert not Segment.objects.filter(key="new").exists()
        assert root.post(URL, {**made, "confirm": True}).status_code == 201

    def test_what_moves_nobody_is_written_at_once(self, root: APIClient, paying: Segment) -> None:
        assert root.patch(ONE, {"name": "Payers", "rules": PRO}).status_code == 200

    def test_what_is_wrong_is_400_whether_or_not_it_is_confirmed(
        self, root: APIClient, paying: Segment
    ) -> None:
        for confirm in ({}, {"confirm": True}):
            answer = root.patch(ONE, {"rules": [rule()], **confirm})
            assert (answer.status_code, list(answer.json()["errors"])) == (400, ["rules"])
            taken = root.post(URL, {"key": "paying", "name": "x", "rules": PRO, **confirm})
            assert (taken.status_code, list(taken.json()["errors"])) == (400, ["key"])

    def test_without_permission_for_users_the_answer_has_only_numbers(
        self, by_session: Caller, paying: Segment
    ) -> None:
        refused = staff_with(by_session, "change_segment").patch(ONE, {"rules": TEAM})
        assert refused.status_code == 409
        assert refused.json()["entering"] == {"at_least": 3, "exact": True}
        assert "@" not in refused.content.decode()


class TestDisappearing:
    @pytest.mark.parametrize("confirm", [None, True, "", "payin", "new-checkout"])
    def test_a_segment_that_a_flag_targets_takes_its_key(
        self, root: APIClient, paying: Segment, confirm: Any
    ) -> None:
        body = {} if confirm is None else {"confirm": confirm}
        for answer in (root.delete(ONE, body), root.patch(ONE, {"is_active": False, **body})):
            assert answer.status_code == 409
            shown = answer.json()
            assert "disappears" in shown["reasons"]
            assert [flag["flag"] for flag in shown["flags"]] == ["new-checkout"]
            assert shown["confirm"] is None
        assert Segment.objects.get(key="paying").is_active

    def test_with_the_key_it_goes(self, root: APIClient, paying: Segment) -> None:
        SegmentMemberFactory.create(segment=paying)
        off = root.patch(ONE, {"is_active": False, "confirm": "paying"})
        assert off.status_code == 200
        gone = root.delete(ONE, {"confirm": "paying", "note": "No longer sold"})
        assert gone.status_code == 204
        entry = HistoryEntry.objects.latest("pk")
        assert (entry.kind, entry.note, entry.source) == ("deleted", "No longer sold", "api")

    def test_as_a_parameter_too(self, root: APIClient, paying: Segment) -> None:
        assert root.delete(f"{ONE}?confirm=paying&note=Gone").status_code == 204
        assert HistoryEntry.objects.latest("pk").note == "Gone"

    def test_the_flags_are_unknown_without_launchdarkly(
        self, root: APIClient, settings: Settings
    ) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "SOURCE": "offline"}
        SegmentFactory.create(key="quiet")
        refused = root.delete(f"{URL}quiet/")
        assert (refused.status_code, refused.json()["flags_known"]) == (409, False)
        assert root.delete(f"{URL}quiet/?confirm=quiet").status_code == 204

    def test_one_that_no_flag_targets_takes_no_key(self, root: APIClient) -> None:
        SegmentFactory.create(key="quiet")
        assert root.delete(f"{URL}quiet/").status_code == 204

    def test_one_that_another_names_is_never_deleted(
        self, root: APIClient, paying: Segment
    ) -> None:
        SegmentFactory.create(key="wide", rules=[rule(clause("", "segmentMatch", "paying"))])
        answer = root.delete(ONE, {"confirm": "paying"})
        assert answer.status_code == 409
        assert "is used by wide" in answer.json()["detail"]


class TestMembers:
    def test_each_write_asks(self, root: APIClient, paying: Segment) -> None:
        user = UserFactory.create(email="vip@example.com")
        body = {"user": str(user.pk), "kind": "include", "note": "Asked for"}
        refused = root.post(MEMBERS, body)
        assert refused.status_code == 409
        assert refused.json()["changes"] == ["Included 1 user: vip@example.com"]
        assert not SegmentMember.objects.exists()
        made = root.post(MEMBERS, {**body, "confirm": refused.json()["confirm"]})
        assert made.status_code == 201
        entry = HistoryEntry.objects.latest("pk")
        assert (entry.note, entry.source, entry.entering) == ("Asked for", "api", 1)
        one = f"{MEMBERS}{user.pk}/"
        assert root.patch(one, {"kind": "exclude"}).status_code == 409
        assert root.patch(one, {"kind": "exclude", "confirm": True}).status_code == 200
        assert root.patch(one, {"reason": "Tells nobody in or out"}).status_code == 200
        assert root.delete(one).status_code == 409
        assert root.delete(one, {"confirm": True, "note": "Left"}).status_code == 204
        assert HistoryEntry.objects.latest("pk").note == "Left"

    def test_what_is_wrong_is_400_first(self, root: APIClient, paying: Segment) -> None:
        member = SegmentMemberFactory.create(segment=paying)
        twice = root.post(MEMBERS, {"user": str(member.user_id)})
        assert twice.status_code == 400
        past = (timezone.now() - datetime.timedelta(days=1)).isoformat()
        late = root.post(MEMBERS, {"user": str(UserFactory.create().pk), "expires_at": past})
        assert (late.status_code, list(late.json()["errors"])) == (400, ["expires_at"])


class TestStale:
    def rename(self, name: str) -> None:
        stored = Segment.objects.get(key="paying")
        stored.name = name
        with open_changeset(actor=UserFactory.create(name="Ada"), note="Better"):
            stored.save()

    def test_a_version_in_the_body(self, root: APIClient, paying: Segment) -> None:
        read = root.get(ONE).json()
        self.rename("Theirs")
        refused = root.put(ONE, {**read, "description": "Mine"})
        assert refused.status_code == 409
        body = refused.json()
        assert body["version"] == 2
        (changed,) = body["changed"]
        assert (changed["who"], changed["note"], changed["version"]) == ("Ada", "Better", 2)
        assert changed["changes"] == ["Name changed from “Paying” to “Theirs”"]
        assert Segment.objects.get(key="paying").description == ""
        fresh = root.get(ONE).json()
        assert root.put(ONE, {**fresh, "description": "Mine"}).status_code == 200

    def test_if_match(self, root: APIClient, paying: Segment) -> None:
        tag = root.get(ONE).headers["ETag"]
        assert tag == '"1"'
        self.rename("Theirs")
        refused = root.patch(ONE, {"description": "Mine"}, headers={"If-Match": tag})
        assert (refused.status_code, refused.json()["version"]) == (412, 2)
        gone = root.delete(f"{ONE}?confirm=paying", headers={"If-Match": tag})
        assert gone.status_code == 412
        done = root.patch(ONE, {"description": "Mine"}, headers={"If-Match": '"2"'})
        assert (done.status_code, done.headers["ETag"]) == (200, '"3"')
        nonsense = root.patch(ONE, [], headers={"If-Match": '"3"'})
        assert nonsense.status_code == 400
        any_version = root.patch(ONE, {"description": "x"}, headers={"If-Match": "*"})
        assert any_version.status_code == 200

    def test_without_a_version_only_what_is_sent_is_written(
        self, root: APIClient, paying: Segment
    ) -> None:
        self.rename("Theirs")
        assert root.patch(ONE, {"description": "Mine"}).status_code == 200
        assert Segment.objects.get(key="paying").name == "Theirs"

    def test_a_save_that_changed_nothing_is_not_a_conflict(
        self, root: APIClient, paying: Segment
    ) -> None:
        read = root.get(ONE).json()
        paying.save()
        assert root.put(ONE, {**read, "description": "Mine"}).status_code == 200

    def test_a_save_that_comes_in_between_is_409(
        self, root: APIClient, paying: Segment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After the versions were compared, before the row is written."""
        raced: list[bool] = []
        full_clean = Segment.full_clean

        def race(self: Segment, *args: Any, **options: Any) -> None:
            if not raced:
                raced.append(True)
                Segment.objects.filter(pk=paying.pk).update(name="Theirs")
            full_clean(self, *args, **options)

        monkeypatch.setattr(Segment, "full_clean", race)
        answer = root.patch(ONE, {"name": "Mine", "version": 1})
        assert answer.status_code == 409
        assert Segment.objects.get(key="paying").name == "Theirs"

    @pytest.mark.parametrize("version", ["1", True, 1.5])
    def test_an_invalid_version_is_400(
        self, root: APIClient, paying: Segment, version: Any
    ) -> None:
        answer = root.patch(ONE, {"name": "Mine", "version": version})
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["version"])


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
        assert staff_with(by_session, "view_user").get(f"{ONE}history/").status_code == 403
        seen = staff_with(by_session, "view_segment").get(f"{ONE}history/")
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
            answer = staff_with(by_session, *permissions).post(f"{ONE}restore/", body)
            return int(answer.status_code)

        assert APIClient().post(f"{ONE}restore/", body).status_code == 401
        assert call("view_segment") == 403
        assert call("view_segment", "change_segment") == 403
        members = [f"{verb}_segmentmember" for verb in ("add", "change", "delete")]
        assert call("view_segment", *members) == 403
        assert call("view_segment", "change_segment", *members) == 200
