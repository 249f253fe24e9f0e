"""What each scope, and what a list of flags, kinds and origins opens."""

from __future__ import annotations

from typing import Any, Final

import pytest
from django.contrib.auth.models import Permission
from rest_framework.test import APIClient

from featureflags.kinds.compiled import CompiledKind
from featureflags.models import PlannedChange, Scope, Segment
from tests.customers.models import Company
from tests.customers.organizations import ORGANIZATION
from tests.factories import SegmentFactory, UserFactory, clause, rule, staff_with, token_for
from tests.featureflags.api.keys.callers import FLAGS, ME, SEGMENTS, caller

pytestmark = pytest.mark.django_db

ADA: Final = "6d0c3a52-0000-4000-8000-000000000000"


def test_a_key_that_reads_reads_what_its_owner_may_and_writes_nothing() -> None:
    SegmentFactory.create(key="s")
    client = caller(token_for(staff_with("view_segment", "change_segment"), Scope.READ))
    assert client.get(SEGMENTS).status_code == 200
    assert client.get(ME).status_code == 200
    refused = client.patch(f"{SEGMENTS}s/", {"name": "New"})
    assert refused.status_code == 403
    assert "write" in refused.json()["detail"]
    assert client.patch(ME, {"name": "New"}).status_code == 403


def test_a_key_that_writes_does_only_what_its_owner_may() -> None:
    SegmentFactory.create(key="s")
    looker = staff_with("view_segment")
    client = caller(token_for(looker))
    assert client.get(SEGMENTS).status_code == 200
    assert client.patch(f"{SEGMENTS}s/", {"name": "New"}).status_code == 403
    looker.user_permissions.set(Permission.objects.filter(codename="change_segment"))
    assert client.patch(f"{SEGMENTS}s/", {"name": "New"}).status_code == 200


def test_a_key_that_evaluates_sees_nobody_and_nothing_else() -> None:
    client = caller(token_for())
    for path in (ME, FLAGS, f"{FLAGS}new-checkout/", SEGMENTS, "/api/v1/users/", f"{ME}context/"):
        assert client.get(path).status_code == 403, path


def test_a_view_that_names_no_scope_is_closed_to_keys_that_only_evaluate() -> None:
    client = caller(token_for())
    assert client.get("/api/v1/segments/").status_code == 403
    assert client.get("/api/v1/schema/").status_code == 200, "anybody may read the schema"


def test_a_key_for_some_flags_sees_those_alone(browser_flags: None) -> None:
    token = token_for(UserFactory.create(is_staff=True), Scope.READ, flags=["internal-tools"])
    client = caller(token)
    assert [item["flag"] for item in client.get(FLAGS).json()["results"]] == ["internal-tools"]
    assert client.get(f"{FLAGS}internal-tools/").status_code == 200
    assert client.get(f"{FLAGS}new-checkout/").status_code == 404


def test_a_key_for_other_kinds_sees_no_user() -> None:
    root = UserFactory.create(superuser=True)
    client = caller(token_for(root, Scope.READ, kinds=["organization"]))
    paths = (ME, FLAGS, f"{ME}context/", f"/api/v1/contexts/user/{root.pk}/", "/api/v1/users/")
    for path in (*paths, f"/api/v1/context-flags/user/{root.pk}/", f"/api/v1/users/{root.pk}/"):
        assert client.get(path).status_code == 403, path


def test_a_key_for_some_origins_works_there_alone() -> None:
    token = token_for(UserFactory.create(), origins=["https://shop.example.com"])
    assert caller(token).get(ME).status_code == 403
    assert caller(token, HTTP_ORIGIN="https://evil.example.com").get(ME).status_code == 403
    assert caller(token, HTTP_ORIGIN="https://shop.example.com").get(ME).status_code == 200


class TestKinds:
    """A key that is for one kind, of an owner who may do everything."""

    @pytest.fixture
    def acme(self, organizations: CompiledKind) -> Company:
        SegmentFactory.create(key="people", rules=[rule(clause("role", "in", "user"))])
        SegmentFactory.create(key="large", kind=ORGANIZATION)
        return Company.objects.create(name="Acme", seats=51)

    @pytest.fixture
    def program(self, acme: Company) -> APIClient:
        root = UserFactory.create(superuser=True)
        return caller(token_for(root, Scope.WRITE, kinds=[ORGANIZATION]))

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("get", "", None),
            ("patch", "", {"name": "New", "confirm": True}),
            ("delete", "?confirm=people", None),
            ("get", "members/", None),
            ("post", "members/", {"user": ADA, "kind": "include"}),
            ("get", f"members/{ADA}/", None),
            ("delete", f"members/{ADA}/", None),
            ("post", "bulk-members/", {"change": "add", "members": [], "dry_run": True}),
            ("post", "preview/", {"rules": []}),
            ("post", "examine/", {"name": "New"}),
            ("post", "copy/", {"key": "copy", "name": "Copy"}),
            ("post", "freeze/", {"confirm": True}),
            ("get", "overlap/?other=people", None),
            ("get", "lint/", None),
            ("get", "size/", None),
            ("get", f"explain/?subject={ADA}", None),
            ("get", "history/", None),
            ("post", "restore/", {"change": 1}),
        ],
    )
    def test_a_segment_of_another_kind_is_shut(
        self, program: APIClient, method: str, path: str, body: Any
    ) -> None:
        answer = getattr(program, method)(f"{SEGMENTS}people/{path}", body, format="json")
        assert answer.status_code == 403, answer.content
        assert "other kinds" in answer.json()["detail"]
        assert Segment.objects.get(key="people").name == "People"

    def test_lists_leave_it_out(self, program: APIClient) -> None:
        assert [each["key"] for each in program.get(SEGMENTS).json()["results"]] == ["large"]
        assert program.get(f"{SEGMENTS}large/members/").status_code == 200

    def test_it_is_not_made_either(self, program: APIClient) -> None:
        given = {"key": "more", "name": "More", "rules": [], "confirm": True}
        assert program.post(SEGMENTS, given, format="json").status_code == 403
        assert program.post(f"{SEGMENTS}new/preview/", {"rules": []}).status_code == 403
        assert program.post(f"{SEGMENTS}new/examine/", {"name": "New"}).status_code == 403
        own = {**given, "kind": ORGANIZATION}
        assert program.post(SEGMENTS, own, format="json").status_code == 201

    def test_nor_is_its_history_open_once_it_is_deleted(self, program: APIClient) -> None:
        root = APIClient()
        root.force_authenticate(UserFactory.create(superuser=True))
        sent = {"key": "gone", "name": "Gone", "rules": [], "confirm": True}
        assert root.post(SEGMENTS, sent, format="json").status_code == 201
        assert root.delete(f"{SEGMENTS}gone/?confirm=gone").status_code == 204
        assert root.get(f"{SEGMENTS}gone/history/").status_code == 200
        assert program.get(f"{SEGMENTS}gone/history/").status_code == 403

    def test_nor_what_is_planned_for_it(self, program: APIClient) -> None:
        root = APIClient()
        root.force_authenticate(UserFactory.create(superuser=True))
        for key in ("people", "large"):
            sent = {"description": "Soon", "propose": True}
            assert root.patch(f"{SEGMENTS}{key}/", sent, format="json").status_code == 202
        (one,) = program.get("/api/v1/proposals/").json()["results"]
        assert one["segment"] == "large"
        (other,) = PlannedChange.objects.filter(segment_key="people")
        for verb in ("", "approve/", "refuse/", "withdraw/", "comments/"):
            ask = program.post if verb else program.get
            assert ask(f"/api/v1/proposals/{other.pk}/{verb}", {}).status_code == 403, verb
        users = caller(token_for(UserFactory.create(superuser=True), Scope.READ, kinds=["user"]))
        (one,) = users.get("/api/v1/proposals/").json()["results"]
        assert one["segment"] == "people"

    def test_an_event_names_a_row_of_its_kind(self, acme: Company) -> None:
        event = {"id": "aaaa-0001", "event": "bought", "subject": f"{ORGANIZATION}:{acme.pk}"}
        for kinds, status in ((["user"], 403), ([ORGANIZATION], 202), ([], 202)):
            body = {"events": [event]}
            answer = caller(token_for(kinds=kinds)).post(
                "/api/v1/events/track/", body, format="json"
            )
            assert answer.status_code == status, kinds
        visitor = {"events": [{**event, "id": "aaaa-0002", "anonymous": True}]}
        answer = caller(token_for()).post("/api/v1/events/track/", visitor, format="json")
        assert answer.status_code == 400, "a company is not a visitor"
