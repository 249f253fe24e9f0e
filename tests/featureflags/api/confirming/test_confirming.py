"""What the API refuses until it is confirmed: saves, deletions, changes of members."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from featureflags.models import HistoryEntry, Segment, SegmentMember
from tests.factories import (
    SegmentFactory,
    SegmentMemberFactory,
    UserFactory,
    clause,
    rule,
    staff_with,
)
from tests.featureflags.api.confirming.segment import MEMBERS, ONE, PRO, TEAM, URL
from tests.users.api.conftest import Caller
from users.models import User

pytestmark = pytest.mark.django_db


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
        refused = by_session(staff_with("change_segment")).patch(ONE, {"rules": TEAM})
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
