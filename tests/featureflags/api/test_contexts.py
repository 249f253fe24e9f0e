"""Contexts over REST: one's own, and any user's for staff."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone
from rest_framework.test import APIClient

from featureflags.contexts.attributes import catalogue
from featureflags.kinds.compiled import CompiledKind
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


def test_it_is_what_launchdarkly_sees_for_those_who_may_see_users(
    ada: User, by_session: Caller
) -> None:
    ada.is_staff = True
    ada.save()
    ada.user_permissions.add(Permission.objects.get(codename="view_user"))
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
        "is_staff": True,
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


def test_users_see_neither_their_segments_nor_their_metadata(
    ada: User, by_session: Caller, by_key: Caller
) -> None:
    for caller in (by_session, by_key):
        body = caller(ada).get(OWN).json()
        assert body["segments"] == []
        assert {"email", "role", "account_age_days"} <= set(body["attributes"])
        assert {"custom_role", "segments", "segment"}.isdisjoint(body["attributes"])
        own = caller(ada).get("/api/v1/users/me/").json()
        assert "metadata" not in own
        assert "employee" not in str([body, own])


def test_what_is_shown_is_a_property_of_the_field(
    ada: User, by_session: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = {**catalogue(), "role": replace(catalogue()["role"], shown_to_self=False)}
    monkeypatch.setattr("featureflags.contexts.attributes.catalogue", lambda _kind="user": hidden)
    monkeypatch.setattr(CompiledKind, "shows_metadata_to_self", True)
    attributes = by_session(ada).get(OWN).json()["attributes"]
    assert attributes["custom_role"] == "admin"
    assert "role" not in attributes


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


def test_the_context_of_another_is_theirs(ada: User, by_session: Caller) -> None:
    body = by_session(viewer()).get(f"/api/v1/contexts/user/{ada.pk}/").json()
    assert body["key"] == str(ada.pk)
    assert "employee" in body["segments"]


def test_the_flags_of_another_are_theirs(
    ada: User, by_session: Caller, flag_file: FlagFile
) -> None:
    flag_file(boolean_flag("internal-tools", rules=[segment_rule("employee")]))
    client = by_session(viewer())

    def value(user: User) -> Any:
        results = client.get(f"/api/v1/context-flags/user/{user.pk}/").json()["results"]
        return {item["flag"]: item["value"] for item in results}["internal-tools"]

    assert value(ada) is True
    assert value(UserFactory.create()) is False


@pytest.mark.parametrize(
    "query",
    [
        "page_size=null",
        "page_size=0",
        "page_size=501",
        "page_size=-1",
        "rolle=admin",
        "limit=5",
        "page_size=9999999999999999999999",
    ],
)
@pytest.mark.parametrize("path", ["users/", "segments/", "flags/", "segments/employee/history/"])
def test_what_is_no_parameter_is_refused_by_name(
    by_session: Caller, path: str, query: str, flag_file: FlagFile
) -> None:
    root = by_session(UserFactory.create(superuser=True))
    answer = root.get(f"/api/v1/{path}?{query}")
    if "changes" in path and answer.status_code == 404:
        return
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json()["errors"]


def test_the_parameters_of_a_list_are_taken(by_session: Caller) -> None:
    root = by_session(UserFactory.create(superuser=True))
    query = "page=1&page_size=5&search=a&ordering=name&role=admin&is_staff=true"
    assert root.get(f"/api/v1/users/?{query}").status_code == 200
