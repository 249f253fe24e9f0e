"""users/: every account, for staff."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from tests.factories import UserFactory
from tests.users.api.conftest import Caller
from users.models import User

URL = "/api/v1/users/"

pytestmark = pytest.mark.django_db


def staff_with(*permissions: str, **fields: Any) -> User:
    user = UserFactory.create(is_staff=True, **fields)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


@pytest.fixture
def viewer(by_session: Caller) -> APIClient:
    return by_session(staff_with("view_user", email="viewer@agpt.co"))


@pytest.fixture
def editor(by_session: Caller) -> APIClient:
    return by_session(staff_with("view_user", "change_user", email="editor@agpt.co"))


def emails(client: APIClient, **query: str) -> list[str]:
    answer = client.get(URL, query)
    assert answer.status_code == 200, answer.json()
    return [user["email"] for user in answer.json()["results"]]


def test_staff_see_a_page_of_users(viewer: APIClient) -> None:
    UserFactory.create_batch(3)
    body = viewer.get(URL, {"page_size": 2}).json()
    assert body["count"] == 4
    assert len(body["results"]) == 2
    assert "page=2" in body["next"]


def test_staff_see_one_user_with_their_groups(viewer: APIClient) -> None:
    user = UserFactory.create(metadata={"plan": "pro"})
    user.groups.add(Group.objects.create(name="beta"))
    body = viewer.get(f"{URL}{user.pk}/").json()
    assert (body["id"], body["groups"]) == (str(user.pk), ["beta"])
    assert body["metadata"] == {"plan": "pro"}
    assert "password" not in body


@pytest.mark.parametrize("key", ["00000000-0000-4000-8000-000000000000", "nobody", "-" * 36])
def test_nobody_is_404(viewer: APIClient, key: str) -> None:
    assert viewer.get(f"{URL}{key}/").status_code == 404


@pytest.mark.parametrize("path", ["", "{id}/"])
def test_it_takes_staff_with_the_permission(by_session: Caller, path: str) -> None:
    person = UserFactory.create()
    url = URL + path.format(id=person.pk)
    no_staff = staff_with("view_user")
    User.objects.filter(pk=no_staff.pk).update(is_staff=False)
    assert APIClient().get(url).status_code == 401
    assert by_session(person).get(url).status_code == 403
    assert by_session(no_staff).get(url).status_code == 403
    assert by_session(staff_with()).get(url).status_code == 403
    assert by_session(staff_with("view_user")).get(url).status_code == 200
    assert by_session(UserFactory.create(superuser=True)).get(url).status_code == 200


def test_filters(by_session: Caller) -> None:
    client = by_session(UserFactory.create(superuser=True, email="root@agpt.co"))
    UserFactory.create(email="new@x.io", email_verified=False)
    UserFactory.create(email="gone@x.io", is_active=False)
    UserFactory.create(email="robot@x.io", role="system", name="Marvin")
    assert emails(client, role="system") == ["robot@x.io"]
    assert emails(client, email_verified="false") == ["new@x.io"]
    assert emails(client, is_active="false") == ["gone@x.io"]
    assert emails(client, is_staff="true") == ["root@agpt.co"]
    assert emails(client, segment="system") == ["robot@x.io"]
    assert emails(client, segment="employee") == ["root@agpt.co"]
    assert emails(client, segment="nowhere") == []
    assert emails(client, search="marv") == ["robot@x.io"]
    assert emails(client, search="x.io", is_active="true") == ["new@x.io", "robot@x.io"]


@pytest.mark.parametrize(
    "query", [{"role": "king"}, {"is_active": "yes"}, {"is_staff": "1"}, {"search": "\x00"}]
)
def test_a_filter_that_makes_no_sense_is_400(viewer: APIClient, query: dict[str, str]) -> None:
    assert viewer.get(URL, query).status_code == 400


def test_ordering_with_the_key_last(viewer: APIClient) -> None:
    now = timezone.now()
    for number in (2, 0, 1):
        created = now + datetime.timedelta(days=number)
        UserFactory.create(email=f"{number}@x.io", name="Same", created_at=created)
    assert emails(viewer, ordering="-created_at", search="x.io") == ["2@x.io", "1@x.io", "0@x.io"]
    assert emails(viewer, search="x.io") == ["0@x.io", "1@x.io", "2@x.io"]
    keys = list(User.objects.filter(name="Same").order_by("pk").values_list("email", flat=True))
    assert emails(viewer, ordering="name", search="x.io") == keys


def test_a_list_of_many_costs_as_much_as_one_of_few(viewer: APIClient) -> None:
    viewer.get(URL)  # what a first request remembers for a while is not counted

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as found:
            assert viewer.get(URL).status_code == 200
        return len(found)

    group = Group.objects.create(name="beta")
    group.user_set.add(*UserFactory.create_batch(5))
    few = queries()
    group.user_set.add(*UserFactory.create_batch(20))
    assert queries() == few


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Grace"),
        ("name", ""),
        ("role", "admin"),
        ("metadata", {"plan": "pro", "seats": [1, 2]}),
        ("metadata", {}),
        ("is_active", False),
        ("email_verified", False),
    ],
)
def test_staff_with_the_permission_change(editor: APIClient, field: str, value: Any) -> None:
    user = UserFactory.create(metadata={"old": True})
    answer = editor.patch(f"{URL}{user.pk}/", {field: value})
    assert (answer.status_code, answer.json().get(field)) == (200, value)
    user.refresh_from_db()
    assert getattr(user, field) == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("is_staff", True),
        ("is_superuser", True),
        ("password", "secret"),
        ("groups", ["beta"]),
        ("user_permissions", [1]),
        ("email", "other@x.io"),
        ("created_at", "2020-01-01T00:00:00Z"),
        ("last_seen_at", "2020-01-01T00:00:00Z"),
    ],
)
def test_what_makes_powerful_is_not_changed_here(editor: APIClient, field: str, value: Any) -> None:
    user = UserFactory.create()
    before = User.objects.filter(pk=user.pk).values().get()
    answer = editor.patch(f"{URL}{user.pk}/", {field: value})
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]
    assert User.objects.filter(pk=user.pk).values().get() == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("is_active", "false"),
        ("is_active", 0),
        ("email_verified", None),
        ("role", "king"),
        ("name", 7),
        ("metadata", []),
        ("metadata", None),
        ("metadata", "{}"),
        ("metadata", {"deep": [[[[[1]]]]]}),
        ("metadata", {"nul": "\x00"}),
        ("metadata", {"surrogate": "\ud800"}),
        ("metadata", {"big": "x" * 17_000}),
    ],
)
def test_what_is_not_valid_is_named(editor: APIClient, field: str, value: Any) -> None:
    user = UserFactory.create()
    body = json.dumps({field: value})
    answer = editor.patch(f"{URL}{user.pk}/", body, content_type="application/json")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" + "0" * 400])
def test_a_number_beyond_a_double_is_named(editor: APIClient, number: str) -> None:
    body = f'{{"metadata": {{"n": {number}}}}}'
    user = UserFactory.create()
    answer = editor.patch(f"{URL}{user.pk}/", body, content_type="application/json")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["metadata"]


def test_viewers_change_nothing(viewer: APIClient) -> None:
    user = UserFactory.create(name="Ada")
    assert viewer.patch(f"{URL}{user.pk}/", {"name": "x"}).status_code == 403
    user.refresh_from_db()
    assert user.name == "Ada"


def test_accounts_are_neither_made_nor_deleted_here(by_session: Caller) -> None:
    editor = by_session(UserFactory.create(superuser=True))
    user = UserFactory.create()
    assert editor.post(URL, {"email": "x@x.io"}).status_code == 405
    assert editor.delete(f"{URL}{user.pk}/").status_code == 405
    assert editor.put(f"{URL}{user.pk}/", {"name": "x"}).status_code == 405
