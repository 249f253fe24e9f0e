"""A key for one kind, or for some flags, learns nothing of others in what other addresses answer."""

from __future__ import annotations

from typing import Any, Final

import pytest
from rest_framework.test import APIClient

from featureflags.kinds.compiled import CompiledKind
from featureflags.models import HistoryEntry, Scope
from tests.conftest import FlagFile
from tests.customers.models import Company
from tests.customers.organizations import ORGANIZATION
from tests.factories import SegmentFactory, UserFactory, clause, rule, token_for
from tests.featureflags.api.keys.callers import SEGMENTS, caller
from tests.services.flag_json import boolean_flag, segment_rule

pytestmark = pytest.mark.django_db

SECRET: Final = "acquisition-of-initech"


def sent(answer: Any, status: int = 200) -> Any:
    assert answer.status_code == status, answer.content
    return answer.json() if answer.content else None


@pytest.fixture
def root() -> APIClient:
    client = APIClient()
    client.force_authenticate(UserFactory.create(superuser=True))
    return client


class TestAnEarlierSegment:
    """A segment of users was deleted, and another kind has its key since."""

    @pytest.fixture
    def earlier(self, root: APIClient, organizations: CompiledKind) -> Company:
        acme = Company.objects.create(name="Acme", seats=51)
        users = {"key": "vip", "name": SECRET, "rules": [rule(clause("role", "in", "user"))]}
        sent(root.post(SEGMENTS, {**users, "confirm": True}, format="json"), 201)
        for number in range(3):
            note = {"note": SECRET, "description": f"{number}"}
            sent(root.patch(f"{SEGMENTS}vip/", note, format="json"))
        sent(root.delete(f"{SEGMENTS}vip/?confirm=vip"), 204)
        companies = {"key": "vip", "name": "Large", "kind": ORGANIZATION, "confirm": True}
        sent(root.post(SEGMENTS, companies, format="json"), 201)
        return acme

    @pytest.fixture
    def program(self, earlier: Company) -> APIClient:
        return caller(token_for(UserFactory.create(superuser=True), kinds=[ORGANIZATION]))

    def test_its_history_is_not_theirs(self, root: APIClient, program: APIClient) -> None:
        assert sent(root.get(f"{SEGMENTS}vip/history/"))["count"] == 6
        (entry,) = sent(program.get(f"{SEGMENTS}vip/history/"))["results"]
        assert entry["changes"] == ["Created as “Large”"]

    def test_nor_is_it_restored(self, program: APIClient) -> None:
        first = HistoryEntry.objects.filter(segment_key="vip").earliest("pk")
        path, body = f"{SEGMENTS}vip/restore/", {"change": first.pk, "confirm": True}
        sent(program.post(path, body, format="json"), 404)

    def test_nor_named_by_what_changed_meanwhile(self, program: APIClient) -> None:
        path = f"{SEGMENTS}vip/"
        tagged = program.patch(path, {"name": "x"}, format="json", headers={"If-Match": '"0"'})
        assert SECRET not in str(sent(tagged, 412))

    def test_who_is_for_users_reads_theirs(self, earlier: Company, root: APIClient) -> None:
        """Once the key is theirs again."""
        sent(root.delete(f"{SEGMENTS}vip/?confirm=vip"), 204)
        SegmentFactory.create(key="vip")
        users = caller(token_for(UserFactory.create(superuser=True), Scope.READ, kinds=["user"]))
        found = sent(users.get(f"{SEGMENTS}vip/history/"))["results"]
        assert len(found) == 6
        assert "Large" not in str(found)


class TestOtherFlags:
    """Two flags use the segment, and the key is for one of them."""

    @pytest.fixture
    def program(self, flag_file: FlagFile) -> APIClient:
        rules = [segment_rule("beta")]
        flag_file(boolean_flag("mine", rules=rules), boolean_flag(SECRET, rules=rules))
        SegmentFactory.create(key="beta", rules=[rule(clause("role", "in", "tester"))])
        UserFactory.create_batch(2)
        return caller(token_for(UserFactory.create(superuser=True), flags=["mine"]))

    BODY: Final = {"rules": [rule(clause("role", "in", "user"))]}

    def check(self, answer: Any, status: int) -> None:
        body = sent(answer, status)
        body = body.get("now", body)
        assert [one["flag"] for one in body["flags"]] == ["mine"]
        assert [one["flag"] for one in body["effects"]["flags"]] == ["mine"]
        assert SECRET not in answer.content.decode()

    def test_what_a_change_would_do(self, program: APIClient) -> None:
        self.check(program.post(f"{SEGMENTS}beta/examine/", self.BODY, format="json"), 200)
        self.check(program.patch(f"{SEGMENTS}beta/", self.BODY, format="json"), 409)

    def test_what_a_proposal_would_do(self, program: APIClient) -> None:
        body = {**self.BODY, "propose": True}
        plan = sent(program.patch(f"{SEGMENTS}beta/", body, format="json"), 202)
        self.check(program.get(f"/api/v1/proposals/{plan['id']}/"), 200)

    def test_what_a_document_would_do(self, program: APIClient) -> None:
        document = sent(program.get("/api/v1/segment-documents/"))
        document["segments"]["beta"]["rules"] = self.BODY["rules"]
        body = {"segments": document["segments"], "dry_run": True}
        answer = program.post("/api/v1/segment-documents/", body, format="json")
        (one,) = sent(answer)["segments"]
        assert [each["flag"] for each in one["flags"]] == ["mine"]
        assert SECRET not in answer.content.decode()

    def test_a_deletion_takes_the_key_all_the_same(self, flag_file: FlagFile) -> None:
        flag_file(boolean_flag(SECRET, rules=[segment_rule("beta")]))
        SegmentFactory.create(key="beta")
        program = caller(token_for(UserFactory.create(superuser=True), flags=["mine"]))
        answer = program.delete(f"{SEGMENTS}beta/?confirm=true")
        body = sent(answer, 409)
        assert (body["needs_key"], body["flags"]) == (True, [])
        assert SECRET not in answer.content.decode()
        sent(program.delete(f"{SEGMENTS}beta/?confirm=beta"), 204)
