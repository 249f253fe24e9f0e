"""Accounts in the admin."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.factories import UserFactory
from tests.users.admin_pages import LIST, form
from users.metadata import MAX_BYTES
from users.models import User

pytestmark = pytest.mark.django_db

ADD = reverse("admin:users_user_add")

CLEARED = "The e-mail address changed, so “e-mail verified” was cleared."


def change(user: User) -> str:
    return reverse("admin:users_user_change", args=[user.pk])


def messages_of(response: Any) -> str:
    return " ".join(str(message) for message in response.context["messages"])


def problems(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200
    found: dict[str, list[str]] = response.context["adminform"].form.errors
    return found


def test_staff_log_in_by_e_mail_in_any_case(client: Client) -> None:
    UserFactory.create(superuser=True, email="boss@example.com", password="correct horse")
    login = {"username": "Boss@Example.COM", "password": "correct horse", "next": LIST}
    page = client.post(reverse("admin:login"), login, follow=True)
    assert page.status_code == 200
    assert page.context["user"].email == "boss@example.com"


def test_an_account_is_created_by_e_mail(staff: Client) -> None:
    password = {"password1": "correct horse battery", "password2": "correct horse battery"}
    data = {"email": "New@Example.com", "name": "N", "role": "user", "usable_password": "true"}
    staff.post(ADD, {**data, **password})
    user = User.objects.get(email="new@example.com")
    assert user.check_password("correct horse battery")
    assert (user.name, user.email_verified) == ("N", False)


def test_an_account_needs_no_password(staff: Client) -> None:
    data = {"email": "new@example.com", "name": "", "role": "system", "usable_password": "false"}
    staff.post(ADD, data)
    assert not User.objects.get(email="new@example.com").has_usable_password()


def test_an_address_is_taken_in_any_case(staff: Client) -> None:
    UserFactory.create(email="ada@agpt.co")
    data = {"email": "ADA@agpt.co", "role": "user", "usable_password": "false"}
    assert "already exists" in problems(staff.post(ADD, data))["email"][0]


def test_an_account_is_changed(staff: Client) -> None:
    user, group = UserFactory.create(), Group.objects.create(name="beta")
    fields = {"name": "Ada", "role": "admin", "metadata": {"plan": "pro"}, "groups": [group.pk]}
    staff.post(change(user), form(user, **fields))
    user.refresh_from_db()
    assert (user.name, user.role, user.metadata) == ("Ada", "admin", {"plan": "pro"})
    assert user.email_verified
    assert list(user.groups.all()) == [group]


def test_last_seen_and_the_key_are_shown_and_cannot_be_changed(staff: Client) -> None:
    user = UserFactory.create()
    page = staff.get(change(user)).content.decode()
    assert "Last seen at" in page
    assert str(user.pk) in page
    assert 'name="last_seen_at' not in page
    staff.post(change(user), form(user, last_seen_at_0="2020-01-01", last_seen_at_1="00:00"))
    user.refresh_from_db()
    assert user.last_seen_at is None


@pytest.mark.parametrize(
    ("verified", "ticked", "email", "expected"),
    [
        (True, "on", "other@example.com", True),
        (False, "on", "other@example.com", True),
        (False, None, "other@example.com", False),
        (True, "on", "FIRST@example.com", False),
        (True, None, "first@example.com", False),
    ],
)
def test_a_changed_address_shows_that_it_is_no_longer_verified(
    staff: Client, verified: bool, ticked: str | None, email: str, expected: bool
) -> None:
    user = UserFactory.create(email="first@example.com", email_verified=verified)
    data = form(user, email=email, email_verified=ticked)
    assert (CLEARED in messages_of(staff.post(change(user), data, follow=True))) is expected
    user.refresh_from_db()
    assert user.email == email.lower()
    if expected:
        assert not user.email_verified


WRONG_METADATA = [
    ('{"a": 1,}', "This is not JSON: line 1, column 9: "),
    ('{"a": NaN}', "NaN is not a JSON value"),
    ('{"a": 1, "a": 2}', "the name “a” appears twice in one object"),
    ("[]", "Metadata must be a JSON object, not a list."),
    ("null", "Metadata must be a JSON object, not null."),
    ('"text"', "Metadata must be a JSON object, not a string."),
    ('{"a": "\\u0000"}', "metadata.a contains a NUL character"),
    ('{"a": "\\ud800"}', "metadata.a contains a lone surrogate"),
    ('{"a": 1e999}', "metadata.a is inf"),
    (f'{{"a": {"9" * 5000}}}', "This is not JSON: "),
    ('{"a": [[[[[1]]]]]}', "nested deeper than 5 levels"),
    (json.dumps({"a": "x" * MAX_BYTES}), "Metadata takes 16,392 bytes as JSON"),
]


@pytest.mark.parametrize(("typed", "problem"), WRONG_METADATA)
def test_wrong_metadata_is_explained_and_kept_as_typed(
    staff: Client, typed: str, problem: str
) -> None:
    user = UserFactory.create(metadata={"plan": "pro"})
    response = staff.post(change(user), form(user, metadata=typed))
    assert problem in " ".join(problems(response)["metadata"])
    assert response.context["adminform"].form["metadata"].value() == typed
    user.refresh_from_db()
    assert user.metadata == {"plan": "pro"}


def test_empty_metadata_is_an_empty_object(staff: Client) -> None:
    user = UserFactory.create(metadata={"plan": "pro"})
    staff.post(change(user), form(user, metadata="  "))
    user.refresh_from_db()
    assert user.metadata == {}


def test_metadata_is_shown_in_characters_and_its_layout_is_not_a_change(staff: Client) -> None:
    user = UserFactory.create(metadata={"city": "Köln"})
    shown = staff.get(change(user)).context["adminform"].form["metadata"].value()
    assert shown == '{\n  "city": "Köln"\n}'
    staff.post(change(user), form(user, metadata='{"city":   "K\\u00f6ln"}'))
    assert "Metadata" not in LogEntry.objects.latest("pk").get_change_message()


def test_the_list_filters_and_searches(staff: Client) -> None:
    ada = UserFactory.create(email="ada@agpt.co", name="Ada Adler", role="system")
    UserFactory.create(email="nina@example.com", name="Nina", is_active=False, email_verified=False)

    def found(**query: str) -> list[str]:
        page = staff.get(LIST, query)
        assert page.status_code == 200
        return [user.email for user in page.context["cl"].result_list]

    assert found(q="ADA@") == ["ada@agpt.co"]
    assert found(q="adler") == ["ada@agpt.co"]
    assert found(q=str(ada.pk)) == found(q=ada.pk.hex.upper()) == ["ada@agpt.co"]
    assert found(role__exact="system") == ["ada@agpt.co"]
    assert found(is_active__exact="0") == ["nina@example.com"]
    assert found(email_verified__exact="0") == ["nina@example.com"]
    assert found(is_staff__exact="1") == ["staff@example.com"]
    assert found(created_at__gte="2999-01-01 00:00:00+00:00") == []


def test_a_deleted_account_leaves_no_address_in_the_log(staff: Client) -> None:
    one, two = UserFactory.create(email="one@x.org"), UserFactory.create(email="two@x.org")
    staff.post(change(one), form(one, name="New name"))
    staff.post(reverse("admin:users_user_delete", args=[one.pk]), {"post": "yes"})
    staff.post(LIST, {"action": "delete_selected", "_selected_action": [two.pk], "post": "yes"})
    assert not User.objects.filter(pk__in=[one.pk, two.pk]).exists()
    log = LogEntry.objects.values_list("object_repr", "object_id")
    assert len(log) == 3
    assert set(log) == {("(deleted user)", None)}


def test_a_list_of_25_costs_as_much_as_one_of_5(staff: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert staff.get(LIST).status_code == 200
        return len(captured)

    queries()  # The first request of the hour notes that the user was seen.
    UserFactory.create_batch(5)
    few = queries()
    UserFactory.create_batch(20)
    assert queries() == few


def test_pages_hold_no_inline_style(staff: Client) -> None:
    for address in (change(UserFactory.create()), ADD, LIST):
        page = staff.get(address).content.decode()
        assert " style=" not in page
        assert "<style" not in page


@pytest.mark.django_db
def test_who_may_only_look_sees_nothing_of_a_password(client: Client) -> None:
    viewer = UserFactory.create(is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_user"))
    client.force_login(viewer)
    address = reverse("admin:users_user_change", args=[UserFactory.create().pk])
    assert "field-password" not in client.get(address).content.decode()
    client.force_login(UserFactory.create(superuser=True))
    assert "field-password" in client.get(address).content.decode()
