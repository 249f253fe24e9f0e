"""users/me/: one's own account."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from tests.factories import UserFactory, token_for
from tests.users.api.conftest import Caller
from users.models import User

URL = "/api/v1/users/me/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return UserFactory.create(email="Ada@agpt.co", name="Ada", metadata={"plan": "pro"})


def test_it_shows_who_asks(ada: User, by_session: Caller) -> None:
    ada.groups.add(Group.objects.create(name="sales"), Group.objects.create(name="beta"))
    answer = by_session(ada).get(URL)
    assert answer.status_code == 200
    body = answer.json()
    assert body.pop("created_at").endswith("Z")
    body.pop("last_seen_at")
    assert body == {
        "id": str(ada.pk),
        "email": "ada@agpt.co",
        "email_verified": True,
        "name": "Ada",
        "role": "user",
        "groups": ["beta", "sales"],
        "is_active": True,
        "is_staff": False,
    }


def test_a_key_works_as_well(ada: User, by_key: Caller) -> None:
    ada.groups.add(Group.objects.create(name="sales"))
    assert by_key(ada).get(URL).json()["groups"] == ["sales"]


def test_a_stranger_gets_401() -> None:
    assert APIClient().get(URL).status_code == 401
    wrong = APIClient()
    wrong.credentials(HTTP_AUTHORIZATION="Bearer nonsense")
    assert wrong.get(URL).status_code == 401


def test_an_inactive_account_gets_401(ada: User, by_session: Caller, by_key: Caller) -> None:
    session, key = by_session(ada), by_key(ada)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert session.get(URL).status_code == 401
    assert key.get(URL).status_code == 401


def test_the_name_can_be_changed(ada: User, by_session: Caller) -> None:
    answer = by_session(ada).patch(URL, {"name": "Ada L."})
    assert (answer.status_code, answer.json()["name"]) == (200, "Ada L.")
    ada.refresh_from_db()
    assert ada.name == "Ada L."


def test_a_change_writes_the_name_alone(ada: User, by_session: Caller) -> None:
    with CaptureQueriesContext(connection) as queries:
        by_session(ada).patch(URL, {"name": "Ada L."})
    updates = [query["sql"] for query in queries if query["sql"].startswith("UPDATE")]
    written = [sql for sql in updates if '"name" =' in sql]
    assert len(written) == 1
    assert "metadata" not in written[0]
    assert "is_active" not in written[0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metadata", {"plan": "enterprise"}),
        ("role", "admin"),
        ("email", "other@agpt.co"),
        ("email_verified", False),
        ("is_staff", True),
        ("is_superuser", True),
        ("is_active", False),
        ("password", "secret"),
        ("groups", ["admin"]),
        ("created_at", "2020-01-01T00:00:00Z"),
        ("id", "00000000-0000-4000-8000-000000000000"),
    ],
)
def test_nothing_else_can(ada: User, by_session: Caller, field: str, value: Any) -> None:
    client = by_session(ada)
    before = User.objects.filter(pk=ada.pk).values().get()
    answer = client.patch(URL, {field: value, "name": "Changed"})
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]
    after = User.objects.filter(pk=ada.pk).values().get()
    assert {**after, "last_seen_at": None} == {**before, "last_seen_at": None}


def test_saying_what_holds_anyway_is_fine(ada: User, by_session: Caller) -> None:
    client = by_session(ada)
    shown = client.get(URL).json()
    assert client.patch(URL, {"email": shown["email"], "role": shown["role"]}).status_code == 200


@pytest.mark.parametrize("name", [1, True, None, ["Ada"], "\x00", "\ud800", "x" * 201])
def test_a_name_is_text(ada: User, by_session: Caller, name: Any) -> None:
    body = json.dumps({"name": name})
    answer = by_session(ada).patch(URL, body, content_type="application/json")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["name"]


@pytest.mark.parametrize("body", ["[" * 100_000, "{", '"text"', "[]", '{"name": NaN}'])
def test_a_body_that_is_not_an_object_is_400(ada: User, by_session: Caller, body: str) -> None:
    answer = by_session(ada).patch(URL, body, content_type="application/json")
    assert answer.status_code == 400


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_other_methods_are_not_there(ada: User, by_session: Caller, method: str) -> None:
    assert getattr(by_session(ada), method)(URL, {"name": "x"}).status_code == 405


def test_a_session_needs_the_csrf_token_to_write(ada: User) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(ada)
    assert client.patch(URL, {"name": "Mallory"}).status_code == 403
    token = "a" * 32
    client.cookies["csrftoken"] = token
    answer = client.patch(URL, {"name": "Ada L."}, headers={"x-csrftoken": token})
    assert answer.status_code == 200


def test_a_key_needs_none(ada: User) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token_for(ada)}")
    assert client.patch(URL, {"name": "Ada L."}).status_code == 200
