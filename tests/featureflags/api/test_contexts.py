"""Contexts over REST: one's own, and any user's for staff."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone
from rest_framework.test import APIClient

from tests.conftest import FlagFile
from tests.factories import SegmentMemberFactory, UserFactory
from tests.services.flag_json import boolean_flag, segment_rule
from tests.users.api.conftest import Caller
from users.models import User

OWN = "/api/v1/users/me/context/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return UserFactory.create(
        email="ada@agpt.co",
        name="Ada",
        metadata={"role": "admin"},
        created_at=timezone.now() - datetime.timedelta(days=365, hours=1),
    )


def viewer() -> User:
    user = UserFactory.create(is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_user"))
    return user


def test_it_is_what_launchdarkly_sees(ada: User, by_session: Caller) -> None:
    body = by_session(ada).get(OWN).json()
    shown = body["attributes"]
    assert shown.pop("created_at")
    shown.pop("last_seen_at", None)
    shown.pop("days_since_last_seen", None)
    assert shown == {
        "kind": "user",
        "key": str(ada.pk),
        "email": "ada@agpt.co",
        "email_domain": "agpt.co",
        "email_verified": True,
        "name": "Ada",
        "role": "user",
        "groups": [],
        "is_staff": False,
        "account_age_days": 365,
        "custom_role": "admin",
        "segments": ["employee", "established_user", "user"],
        "segment": {"employee": True, "established_user": True, "user": True},
    }
    assert body["key"] == str(ada.pk)
    assert body["private_attributes"] == ["email", "name"]
    assert body["segments"] == ["employee", "established_user", "user"]
    assert body["source"] == "loaded"
    assert body["degraded"] == []


def test_it_shows_until_when_it_holds(ada: User, by_key: Caller) -> None:
    until = datetime.datetime.fromisoformat(by_key(ada).get(OWN).json()["valid_until"])
    assert until == ada.created_at + datetime.timedelta(days=366)
    soon = timezone.now() + datetime.timedelta(minutes=5)
    SegmentMemberFactory.create(user=ada, expires_at=soon)
    body = by_key(ada).get(OWN).json()
    assert datetime.datetime.fromisoformat(body["valid_until"]) == soon


def test_the_key_of_the_visitor_they_were_is_in_it(ada: User, flag_file: FlagFile) -> None:
    client = APIClient()
    client.get("/api/v1/flags/")
    client.force_login(ada)
    shown = client.get(OWN).json()["attributes"]
    assert len(shown["anonymous_key"]) == 32


def test_a_stranger_gets_401() -> None:
    assert APIClient().get(OWN).status_code == 401


@pytest.mark.parametrize("what", ["context", "flags"])
def test_staff_with_the_permission_see_those_of_others(
    ada: User, by_session: Caller, flag_file: FlagFile, what: str
) -> None:
    url = f"/api/v1/users/{ada.pk}/{what}/"
    assert APIClient().get(url).status_code == 401
    assert by_session(ada).get(url).status_code == 403
    assert by_session(UserFactory.create(is_staff=True)).get(url).status_code == 403
    staff = by_session(viewer())
    assert staff.get(url).status_code == 200
    nobody = f"/api/v1/users/00000000-0000-4000-8000-000000000000/{what}/"
    assert staff.get(nobody).status_code == 404


def test_the_context_of_another_is_theirs(ada: User, by_session: Caller) -> None:
    body = by_session(viewer()).get(f"/api/v1/users/{ada.pk}/context/").json()
    assert body["key"] == str(ada.pk)
    assert "employee" in body["segments"]


def test_the_flags_of_another_are_theirs(
    ada: User, by_session: Caller, flag_file: FlagFile
) -> None:
    flag_file(boolean_flag("internal-tools", rules=[segment_rule("employee")]))
    client = by_session(viewer())

    def value(user: User) -> Any:
        results = client.get(f"/api/v1/users/{user.pk}/flags/").json()["results"]
        return {item["flag"]: item["value"] for item in results}["internal-tools"]

    assert value(ada) is True
    assert value(UserFactory.create()) is False
