"""What a key, a browser and a program may see and claim over OFREP."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from featureflags.models import Scope
from tests.factories import UserFactory, token_for
from tests.featureflags.api.ofrep.asking import ALL, ORIGIN, ask, post
from users.models import User

pytestmark = pytest.mark.django_db


def test_the_subject_comes_from_the_database(ada: User) -> None:
    assert ask("new-checkout", ada.pk).json()["value"] is True
    assert ask("new-checkout", str(ada.pk).upper()).json()["value"] is True
    stranger = ask("new-checkout", "6d0c3a52-0000-4000-8000-000000000000").json()
    assert stranger["value"] is False
    assert stranger["metadata"]["degraded"] == "no_such_user"


def test_a_visitor_costs_no_query(django_assert_num_queries: Any) -> None:
    token = token_for()
    ask("new-checkout", "v1", token, anonymous=True)
    with django_assert_num_queries(0):
        body = ask("new-checkout", "v2", token, anonymous=True).json()
    assert (body["value"], body["metadata"]["source"]) == (False, "visitor")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("segments", ["employee"]),
        ("segment", {"employee": True}),
        ("email", "root@agpt.co"),
        ("email_verified", True),
        ("role", "admin"),
        ("is_staff", True),
        ("custom_plan", "pro"),
        ("custom_anything", 1),
        ("anonymous_key", "x"),
        ("key", "x"),
        ("_meta", {"privateAttributes": []}),
        ("", 1),
    ],
)
def test_nobody_claims_what_the_database_decides(name: str, value: Any) -> None:
    customer = UserFactory.create(metadata={})
    for flag in ("new-checkout", "for-pro"):
        answer = ask(flag, customer.pk, **{name: value}).json()
        assert answer["value"] is False
        assert answer["metadata"]["ignoredAttributes"] == name


def test_a_program_adds_attributes_of_its_own(ada: User) -> None:
    assert ask("large-basket", ada.pk, basket=3).json()["value"] is True
    assert ask("large-basket", ada.pk, basket=1).json()["value"] is False
    assert ask("large-basket", ada.pk, token_for(ada, Scope.READ), basket=3).json()["value"] is True


def browser(flag: str | None, token: str, **context: object) -> Any:
    path = ALL if flag is None else f"{ALL}/{flag}"
    return post(path, {"context": {"targetingKey": "x", **context}}, token, Origin=ORIGIN)


def test_a_browser_sees_flags_for_browsers_and_adds_nothing() -> None:
    token = token_for(origins=[ORIGIN])
    assert browser("large-basket", token, basket=3).status_code == 404
    shown = browser("new-checkout", token, basket=3).json()
    assert shown["metadata"]["ignoredAttributes"] == "basket"
    assert [each["key"] for each in browser(None, token).json()["flags"]] == ["new-checkout"]
    assert ask("new-checkout", "x", token).status_code == 403


def test_a_browser_sees_no_rules(ada: User) -> None:
    token = token_for(origins=[ORIGIN])
    metadata = browser("new-checkout", token, targetingKey=str(ada.pk)).json()["metadata"]
    assert metadata == {"reasonKind": "RULE_MATCH", "source": "database"}


def test_a_key_for_some_flags(ada: User) -> None:
    token = token_for(flags=["colour", "count"])
    assert ask("colour", ada.pk, token).status_code == 200
    assert ask("new-checkout", ada.pk, token).status_code == 404
    every = post(ALL, {"context": {"targetingKey": str(ada.pk)}}, token).json()
    assert [each["key"] for each in every["flags"]] == ["colour", "count"]


def test_a_key_for_other_kinds_is_403(ada: User) -> None:
    assert ask("colour", ada.pk, token_for(kinds=["organization"])).status_code == 403


def test_pages_of_other_origins_need_the_setting(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,if-none-match",
    }
    allowed = Client().options(ALL, headers=asked)
    assert allowed.status_code == 200
    assert allowed["Access-Control-Allow-Origin"] == ORIGIN
    assert "Access-Control-Allow-Credentials" not in allowed
    refused = Client().options(ALL, headers={**asked, "Origin": "https://evil.example.com"})
    assert "Access-Control-Allow-Origin" not in refused
    answer = browser(None, token_for(origins=[ORIGIN]))
    assert "ETag" in answer["Access-Control-Expose-Headers"]
