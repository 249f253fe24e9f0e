"""Errors everywhere as RFC 9457 problem details, with types that never change; no answer is cached."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection
from rest_framework.test import APIClient

from featureflags.api.problems import TITLES, URN, problem
from tests.factories import SegmentFactory, UserFactory, token_for
from tests.users.api.conftest import Caller

pytestmark = pytest.mark.django_db

API = "/api/v1"


def check(answer: Any, status: int, kind: str) -> dict[str, Any]:
    """The body; each member that RFC 9457 names is there."""
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["Cache-Control"] == "private, no-store"
    body: dict[str, Any] = answer.json()
    assert (body["type"], body["status"]) == (f"{URN}{kind}", status)
    assert body["title"] == TITLES[kind]
    assert isinstance(body["detail"], str)
    assert body["detail"]
    assert body["request_id"] == answer["X-Request-ID"]
    return body


def test_each_error_has_its_type(by_session: Caller) -> None:
    root = by_session(UserFactory.create(superuser=True))
    SegmentFactory.create(key="s")
    check(APIClient().get(f"{API}/users/"), 401, "unauthenticated")
    check(by_session(UserFactory.create()).get(f"{API}/users/"), 403, "forbidden")
    check(root.get(f"{API}/segments/none/"), 404, "not-found")
    check(root.put(f"{API}/flags/"), 405, "method-not-allowed")
    check(root.post(f"{API}/segments/", "{", content_type="application/json"), 400, "malformed")
    check(
        root.post(f"{API}/segments/", "x", content_type="text/plain"), 415, "unsupported-media-type"
    )
    found = check(root.post(f"{API}/segments/", {"key": "s"}), 400, "validation")
    assert {"key", "name"} <= set(found["errors"])
    found = check(root.get(f"{API}/segments/?colour=red"), 400, "validation")
    assert found["detail"] == "colour: There is no such parameter."
    check(root.post(f"{API}/flags/evaluate/?format=AAA", {}), 400, "validation")


@pytest.mark.parametrize(
    "path",
    [
        *("nothing/", "segments/a/b/c/d/", "users/x/", "flags", "%00/"),
        # Found by schemathesis: a line break is part of no path converter.
        *("flags/a%0Ab/", "flags/%0A/explain/", "%0A"),
    ],
)
def test_an_address_that_there_is_not(path: str) -> None:
    answer = APIClient().get(f"{API}/{path}")
    if path != "flags":
        check(answer, 404, "not-found")
    assert answer.status_code in {301, 404}


def test_what_must_be_confirmed_has_its_numbers_beside_it(by_session: Caller) -> None:
    root = by_session(UserFactory.create(superuser=True))
    SegmentFactory.create(key="everybody")
    UserFactory.create_batch(3)
    rules = [{"clauses": [{"attribute": "role", "op": "in", "values": ["user"], "negate": False}]}]
    body = check(
        root.patch(f"{API}/segments/everybody/", {"rules": rules}), 409, "confirmation-required"
    )
    assert body["entering"]["at_least"] == 3
    assert {"reasons", "changes", "flags", "flags_known", "confirm", "leaving"} <= set(body)
    stale = root.patch(f"{API}/segments/everybody/", {"name": "x"}, headers={"If-Match": '"0"'})
    assert check(stale, 412, "changed-meanwhile")["version"] == 1


def test_a_database_that_is_away(by_session: Caller) -> None:
    root = by_session(UserFactory.create(superuser=True))

    def fail(*_args: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(fail):
        answer = root.get(f"{API}/segments/")
    check(answer, 503, "unavailable")
    assert answer["Retry-After"]


@pytest.mark.parametrize("path", ["", "configuration", "evaluate", "evaluate/flags/", "a/b"])
def test_an_address_that_ofrep_does_not_have(path: str) -> None:
    for ask in (APIClient().get, APIClient().post):
        answer = ask(f"/ofrep/v1/{path}")
        assert answer["Content-Type"] == "application/json"
        assert answer.json()["errorCode"]
        assert answer.status_code in {404, 401, 405}


def test_personal_answers_are_nobody_else_s(by_session: Caller) -> None:
    client = by_session(UserFactory.create())
    for path in ("users/me/", "users/me/context/", "flags/"):
        answer = client.get(f"{API}/{path}")
        assert answer["Cache-Control"] == "private, no-store"
        assert {"Authorization", "Cookie"} <= {each.strip() for each in answer["Vary"].split(",")}


def test_a_key_that_may_not_is_told_so_as_a_problem() -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token_for()}")
    assert "read" in check(client.get(f"{API}/users/me/"), 403, "forbidden")["detail"]


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        ({"name": ["Wrong."]}, "name: Wrong."),
        (["Wrong."], "Wrong."),
        ({"non_field_errors": ["Wrong."]}, "Wrong."),
        ({"rules": [{"a": ["Deep."]}]}, "rules: Deep."),
        ({}, "The request is not valid."),
    ],
)
def test_the_detail_is_the_first_message(data: Any, detail: str) -> None:
    assert problem(400, data)["detail"] == detail
