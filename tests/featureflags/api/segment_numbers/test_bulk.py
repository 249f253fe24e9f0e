"""Bulk changes of members over REST, as JSON and as CSV."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from featureflags.models import HistoryEntry, Scope, Segment, SegmentMember
from tests.factories import (
    SegmentMemberFactory,
    UserFactory,
    staff_with,
    token_for,
)
from tests.featureflags.api.segment_numbers.callers import MEMBER_PERMISSIONS, URL, client_of
from tests.featureflags.api.using import use
from tests.users.api.conftest import Caller
from users.models import User

pytestmark = pytest.mark.django_db


class TestBulk:
    PATH = f"{URL}/beta/bulk-members/"

    @pytest.fixture
    def three(self) -> list[User]:
        return [UserFactory.create(email=f"{name}@example.com") for name in ("ada", "bo", "cy")]

    @pytest.fixture
    def stored(self, three: list[User]) -> SegmentMember:
        member: SegmentMember = SegmentMemberFactory.create(
            segment=Segment.objects.get(key="beta"), user=three[0], reason="Was here"
        )
        return member

    def send(self, client: APIClient, change: str, *users: Any, **more: Any) -> Any:
        members = [{"user": str(each)} if not isinstance(each, dict) else each for each in users]
        body = {"change": change, "members": members, **more}
        return client.post(self.PATH, body, format="json")

    @staticmethod
    def members() -> dict[str, tuple[str, str]]:
        rows = SegmentMember.objects.filter(segment__key="beta")
        return {str(row.user_id): (row.kind, row.reason) for row in rows}

    def test_add(self, root: APIClient, three: list[User], stored: SegmentMember) -> None:
        ada, bo, cy = three
        excluded = {"user": "CY@example.com", "kind": "exclude", "reason": "Asked"}
        body = self.send(root, "add", bo.pk, excluded, note="More of them").json()
        assert (body["written"], body["added"], body["changed"], body["removed"]) == (True, 2, 0, 0)
        assert body["entering"]["at_least"] == 1
        assert self.members() == {
            str(ada.pk): ("include", "Was here"),
            str(bo.pk): ("include", ""),
            str(cy.pk): ("exclude", "Asked"),
        }
        entry = HistoryEntry.objects.filter(segment_key="beta").latest("pk")
        assert (entry.note, entry.source) == ("More of them", "api")

    def test_remove_and_replace_are_one_change_each(
        self, root: APIClient, three: list[User], stored: SegmentMember
    ) -> None:
        ada, bo, cy = three
        before = HistoryEntry.objects.count()
        body = self.send(root, "replace", bo.pk, cy.pk).json()
        assert (body["added"], body["removed"]) == (2, 1)
        assert set(self.members()) == {str(bo.pk), str(cy.pk)}
        body = self.send(root, "remove", bo.pk, ada.pk).json()
        assert (body["added"], body["removed"]) == (0, 1)
        assert set(self.members()) == {str(cy.pk)}
        assert HistoryEntry.objects.count() == before + 2
        body = self.send(root, "replace").json()
        assert (body["removed"], self.members()) == (1, {})

    def test_a_dry_run_writes_nothing(self, root: APIClient, three: list[User]) -> None:
        body = self.send(root, "add", three[0].pk, dry_run=True).json()
        assert (body["written"], body["added"]) == (False, 1)
        assert self.members() == {}

    @pytest.mark.parametrize(
        ("listed", "message"),
        [
            ({"user": "nobody@example.com"}, "Line 2: nobody has the e-mail nobody@example.com"),
            ({"user": "x"}, "Line 2: "),
            (
                {"user": "ada@example.com", "expires_at": "2020-01-01T00:00:00Z"},
                "Line 2: the time of ada@example.com has ended",
            ),
        ],
    )
    def test_all_or_nothing_and_each_problem_names_its_line(
        self, root: APIClient, three: list[User], listed: dict[str, str], message: str
    ) -> None:
        answer = self.send(root, "add", three[1].pk, listed)
        assert answer.status_code == 400
        assert answer.json()["errors"]["members"][0].startswith(message)
        assert self.members() == {}

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"change": "add"},
            {"change": "burn", "members": []},
            {"change": "add", "members": [{"user": 1}]},
            {"change": "add", "members": [{"user": "x", "colour": "red"}]},
            {"change": "add", "members": "x"},
            {"change": "add", "members": [], "dry_run": "yes"},
            [],
        ],
    )
    def test_wrong_bodies(self, root: APIClient, body: Any) -> None:
        assert root.post(self.PATH, body, format="json").status_code == 400

    def test_csv_as_the_admin_reads_it(self, root: APIClient, three: list[User]) -> None:
        later = (timezone.now() + datetime.timedelta(days=9)).isoformat()
        text = f"email,kind,reason,expires_at\nada@example.com,exclude,Asked,{later}\n"
        answer = root.post(
            f"{self.PATH}?change=add&note=From+a+file", text, content_type="text/csv"
        )
        assert answer.json()["added"] == 1
        assert self.members() == {str(three[0].pk): ("exclude", "Asked")}
        dry = root.post(
            f"{self.PATH}?change=replace&dry_run=true", "bo@example.com", content_type="text/csv"
        )
        assert (dry.json()["added"], dry.json()["removed"]) == (1, 1)
        assert not dry.json()["written"]

    @pytest.mark.parametrize(
        ("query", "text", "name"),
        [
            ("", "ada@example.com", "change"),
            ("?change=add&dry_run=1", "ada@example.com", "dry_run"),
            ("?change=add", b"\xff\xfe\xff", "members"),
            ("?change=add", "key,kind\n,x", "members"),
            ("?change=add&colour=red", "ada@example.com", "colour"),
        ],
    )
    def test_wrong_csv(self, root: APIClient, query: str, text: Any, name: str) -> None:
        answer = root.post(f"{self.PATH}{query}", text, content_type="text/csv")
        assert answer.status_code == 400
        assert list(answer.json()["errors"]) == [name]

    def test_over_the_limits(
        self, root: APIClient, three: list[User], settings: Settings, stored: SegmentMember
    ) -> None:
        use(settings, MAX_MEMBERS=2)
        emails = "\n".join(user.email for user in three)
        too_many = (
            self.send(root, "add", *(user.pk for user in three)),
            self.send(root, "add", *(user.pk for user in three[1:])),
            root.post(f"{self.PATH}?change=add", emails, content_type="text/csv"),
        )
        for answer in too_many:
            assert answer.status_code == 422
            assert answer.json()["type"] == "urn:guidon:problem:over-limit"
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 20
        for content_type in ("text/csv", "application/json"):
            answer = root.post(self.PATH, b"x" * 21, content_type=content_type)
            assert answer.status_code == 413

    def test_what_must_be_confirmed(
        self, root: APIClient, three: list[User], settings: Settings
    ) -> None:
        use(settings, CONFIRM_USERS=1)
        users = [user.pk for user in three]
        refused = self.send(root, "add", *users)
        assert refused.status_code == 409
        assert self.members() == {}
        dry = self.send(root, "add", *users, dry_run=True).json()
        assert dry["reasons"] == ["many"]
        assert self.send(root, "add", *users, confirm=refused.json()["confirm"]).json()["written"]
        text = "\n".join(map(str, users))
        path = f"{self.PATH}?change=remove"
        assert root.post(path, text, content_type="text/csv").status_code == 409
        confirmed = root.post(f"{path}&confirm=true", text, content_type="text/csv")
        assert confirmed.json()["removed"] == 3

    def test_sent_again_with_its_key(self, root: APIClient, three: list[User]) -> None:
        body = {"change": "add", "members": [{"user": str(three[0].pk)}]}
        header = {"Idempotency-Key": "once"}
        answers = [root.post(self.PATH, body, format="json", headers=header) for _ in range(2)]
        assert [answer.json()["added"] for answer in answers] == [1, 1]
        csv = [
            root.post(
                f"{self.PATH}?change=remove",
                "ada@example.com",
                content_type="text/csv",
                headers={"Idempotency-Key": "csv"},
            )
            for _ in range(2)
        ]
        assert [answer.json()["removed"] for answer in csv] == [1, 1]

    def test_who_may(self, by_session: Caller, three: list[User], stored: SegmentMember) -> None:
        base = ("view_segment", "view_user")
        everything = staff_with(*base, *MEMBER_PERMISSIONS)
        ada, bo, _ = three
        ways: tuple[tuple[str, Any, str], ...] = (
            ("add", bo.pk, "add_segmentmember"),
            ("add", {"user": str(ada.pk), "reason": "Other"}, "change_segmentmember"),
            ("remove", ada.pk, "delete_segmentmember"),
        )
        for change, user, needed in ways:
            allowed = by_session(staff_with(*base, needed))
            others = set(MEMBER_PERMISSIONS) - {needed}
            refused = by_session(staff_with(*base, *others))
            assert self.send(allowed, change, user, dry_run=True).status_code == 200
            assert self.send(refused, change, user, dry_run=True).status_code == 403
        for missing in base:
            left = {*base, *MEMBER_PERMISSIONS} - {missing}
            assert self.send(by_session(staff_with(*left)), "add", bo.pk).status_code == 403
        assert self.send(by_session(UserFactory.create()), "add", bo.pk).status_code == 403
        assert self.send(APIClient(), "add", bo.pk).status_code == 401
        assert self.send(client_of(token_for()), "add", bo.pk).status_code == 403
        reading = client_of(token_for(everything, Scope.READ))
        assert self.send(reading, "add", bo.pk).status_code == 403
        browser = APIClient(enforce_csrf_checks=True)
        browser.force_login(everything)
        assert self.send(browser, "add", bo.pk).status_code == 403
        assert set(self.members()) == {str(ada.pk)}
        assert self.send(client_of(token_for(everything)), "add", bo.pk).status_code == 200

    def test_a_segment_that_there_is_not(self, root: APIClient) -> None:
        path = self.PATH.replace("beta", "none")
        answer = root.post(path, {"change": "add", "members": []}, format="json")
        assert answer.status_code == 404
