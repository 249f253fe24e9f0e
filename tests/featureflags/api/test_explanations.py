"""Why a row is in a segment and gets a flag, over REST; and who may ask."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from featureflags.models import Scope
from tests.conftest import FlagFile
from tests.factories import (
    SegmentFactory,
    SegmentMemberFactory,
    UserFactory,
    clause,
    rule,
    staff_with,
    token_for,
)
from tests.services.flag_json import boolean_flag, segment_rule
from tests.users.api.conftest import Caller
from users.models import User

pytestmark = pytest.mark.django_db

API = "/api/v1"
BOTH = ("view_user", "view_segment")


@pytest.fixture
def ada() -> User:
    return UserFactory.create(
        email="ada@agpt.co", metadata={"plan": "pro"}, created_at=timezone.now()
    )


@pytest.fixture(autouse=True)
def a_flag(flag_file: FlagFile) -> None:
    flag_file(boolean_flag("new-checkout", rules=[segment_rule("paying")]))
    SegmentFactory.create(key="paying", rules=[rule(clause("custom_plan", "in", "pro"))])


@pytest.fixture
def looker(by_session: Caller) -> APIClient:
    return by_session(staff_with(*BOTH))


def paths(user: User) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Each address about this user, and the permissions that it takes."""
    one = f"user/{user.pk}/"
    return {
        "context": (f"{API}/contexts/{one}", ("view_user",)),
        "flags": (f"{API}/context-flags/{one}", ("view_user",)),
        "segments": (f"{API}/context-segments/{one}", BOTH),
        "segment": (f"{API}/segments/paying/explain/?subject={user.pk}", BOTH),
        "flag": (f"{API}/flags/new-checkout/explain/?subject={user.pk}", BOTH),
    }


EVERY = ("context", "flags", "segments", "segment", "flag")


@pytest.mark.parametrize("name", EVERY)
class TestWho:
    def test_staff_with_exactly_these_permissions(
        self, ada: User, by_session: Caller, by_key: Caller, name: str
    ) -> None:
        path, needed = paths(ada)[name]
        for caller in (by_session, by_key):
            assert caller(staff_with(*needed)).get(path).status_code == 200
            for missing in needed:
                left = set(needed) - {missing}
                assert caller(staff_with(*left)).get(path).status_code == 403
        not_staff = UserFactory.create()
        not_staff.user_permissions.set(Permission.objects.filter(codename__in=needed))
        assert by_session(not_staff).get(path).status_code == 403
        assert APIClient().get(path).status_code == 401

    def test_not_even_about_oneself(self, ada: User, by_session: Caller, name: str) -> None:
        assert by_session(ada).get(paths(ada)[name][0]).status_code == 403

    def test_keys_by_scope_and_kind(self, ada: User, name: str) -> None:
        root = UserFactory.create(superuser=True)
        path = paths(ada)[name][0]
        for fields, status in (
            ({"scope": Scope.READ}, 200),
            ({"scope": Scope.WRITE}, 200),
            ({"scope": Scope.READ, "kinds": ["company"]}, 403),
        ):
            token = token_for(root, **fields)
            client = APIClient(headers={"authorization": f"Bearer {token}"})
            assert client.get(path).status_code == status
        evaluating = APIClient(headers={"authorization": f"Bearer {token_for()}"})
        assert evaluating.get(path).status_code == 403

    @pytest.mark.parametrize(
        "key", ["nobody", "6d0c3a52-0000-4000-8000-00000000dead", "%00", "ada@agpt.co"]
    )
    def test_a_key_that_nobody_has(self, ada: User, looker: APIClient, name: str, key: str) -> None:
        path = paths(ada)[name][0].replace(str(ada.pk), key)
        assert looker.get(path).status_code in {404, 400 if key == "%00" else 404}

    def test_an_unknown_parameter_is_refused(self, ada: User, looker: APIClient, name: str) -> None:
        path = paths(ada)[name][0]
        answer = looker.get(f"{path}{'&' if '?' in path else '?'}colour=red")
        assert answer.status_code == 400
        assert list(answer.json()["errors"]) == ["colour"]


@pytest.mark.parametrize("path", ["contexts", "context-flags", "context-segments"])
def test_an_unknown_kind(ada: User, looker: APIClient, path: str) -> None:
    assert looker.get(f"{API}/{path}/planet/{ada.pk}/").status_code == 404


def test_each_segment_is_explained(ada: User, looker: APIClient) -> None:
    SegmentMemberFactory.create(segment__key="by_name", user=ada)
    body = looker.get(f"{API}/context-segments/user/{ada.pk}/").json()
    found = {each["segment"]: each for each in body["results"]}
    assert list(found) == sorted(found)
    assert body["count"] == len(found) == 9
    paying = found["paying"]
    assert (paying["verdict"], paying["decided_by"]) == (True, "rule 1")
    [condition] = paying["rules"][0]["conditions"]
    assert (condition["observed"], condition["held"]) == ("pro", True)
    assert found["by_name"]["decided_by"] == "included"
    assert not found["established_user"]["verdict"]
    assert found["established_user"]["next_change"] is not None

    def keys(**query: Any) -> list[str]:
        results = looker.get(f"{API}/context-segments/user/{ada.pk}/", query).json()["results"]
        return [each["segment"] for each in results]

    assert {"paying", "by_name"} <= set(keys(verdict="true"))
    assert keys(verdict="true", page_size=1) == keys(verdict="true")[:1]
    assert set(keys(verdict="true")).isdisjoint(keys(verdict="false"))
    assert len(keys(verdict="true")) + len(keys(verdict="false")) == 9
    answer = looker.get(f"{API}/context-segments/user/{ada.pk}/", {"verdict": "maybe"})
    assert list(answer.json()["errors"]) == ["verdict"]


def test_more_segments_are_no_more_queries(ada: User, looker: APIClient) -> None:
    path = f"{API}/context-segments/user/{ada.pk}/"
    looker.get(path)
    with CaptureQueriesContext(connection) as few:
        looker.get(path)
    for number in range(20):
        SegmentFactory.create(key=f"more{number}", rules=[rule(clause("custom_plan", "in", "x"))])
    looker.get(path)
    with CaptureQueriesContext(connection) as many:
        assert looker.get(path).json()["count"] == 28
    assert len(many) == len(few)


def test_one_segment(ada: User, looker: APIClient) -> None:
    path = f"{API}/segments/paying/explain/"
    listed = looker.get(f"{API}/context-segments/user/{ada.pk}/").json()["results"]
    body = looker.get(path, {"subject": str(ada.pk)}).json()
    assert body in listed
    assert looker.get(path.replace("paying", "none"), {"subject": str(ada.pk)}).status_code == 404
    missing = looker.get(path)
    assert (missing.status_code, list(missing.json()["errors"])) == (400, ["subject"])


def test_a_flag_down_to_the_attribute(ada: User, looker: APIClient) -> None:
    body = looker.get(f"{API}/flags/new-checkout/explain/", {"subject": str(ada.pk)}).json()
    assert (body["kind"], body["key"]) == ("user", str(ada.pk))
    assert body["answer"]["value"] is True
    assert body["answer"]["reason"]["kind"] == "RULE_MATCH"
    explanation = body["explanation"]
    assert (explanation["on"], explanation["decided_by"], explanation["agrees"]) == (True, 1, True)
    [condition] = explanation["rules"][0]["conditions"]
    assert condition["held"]
    assert "paying" in condition["segments"]
    assert "paying" in condition["observed"]


def test_a_flag_that_is_only_declared_and_one_that_there_is_not(
    ada: User, looker: APIClient
) -> None:
    declared = looker.get(f"{API}/flags/internal-tools/explain/", {"subject": str(ada.pk)})
    assert declared.json()["explanation"] is None
    gone = looker.get(f"{API}/flags/nothing/explain/", {"subject": str(ada.pk)})
    assert gone.status_code == 404


def test_a_key_that_is_bound_to_other_flags(ada: User) -> None:
    token = token_for(UserFactory.create(superuser=True), Scope.READ, flags=["other"])
    client = APIClient(headers={"authorization": f"Bearer {token}"})
    assert client.get(paths(ada)["flag"][0]).status_code == 404
    assert client.get(paths(ada)["flags"][0]).json()["results"] == []
