"""Pages of other origins: which may call what, by every method, and that none is given a session's cookie."""

from __future__ import annotations

from typing import Any, Final

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from tests.factories import UserFactory
from tests.featureflags.api.using import use

pytestmark = [pytest.mark.django_db, pytest.mark.embedded_stack]

ALLOWED: Final = "https://shop.example.com"
OTHERS: Final = (
    "https://evil.example.com",
    "null",
    "http://shop.example.com",
    "https://shop.example.com:8443",
    "https://shop.example.com.evil.example",
    "*",
    "",
)
OPEN: Final = (
    "/api/v1/flags/",
    "/api/v1/segments/",
    "/api/v1/segments/employee/",
    "/api/v1/nowhere/",
    "/ofrep/v1/evaluate/flags",
    "/ofrep/v1/evaluate/flags/x",
)
CLOSED: Final = ("/", "/admin/login/", "/users/", "/healthz", "/api/v1", "/apis/v1/")
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@pytest.fixture(autouse=True)
def origins(settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ALLOWED]
    use(settings, THROTTLE_ADDRESS=0, THROTTLE_WRONG_KEYS=0, THROTTLE_USER=0)


def headers_of(answer: Any) -> dict[str, str]:
    found = {name.lower(): text for name, text in answer.items()}
    return {name: text for name, text in found.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("path", OPEN)
def test_an_answer_is_shown_to_one_origin_alone(client: Client, path: str) -> None:
    """Whatever it says: a page must be able to read what was wrong."""
    for method in METHODS:
        answer = client.generic(method, path, headers={"Origin": ALLOWED})
        assert headers_of(answer)["access-control-allow-origin"] == ALLOWED, method
        assert "access-control-allow-credentials" not in headers_of(answer)
        assert "origin" in answer["Vary"].lower()
        for origin in OTHERS:
            other = client.generic(method, path, headers={"Origin": origin})
            assert headers_of(other) == {}, (method, origin)
            assert "origin" in other["Vary"].lower()


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("method", METHODS)
def test_before_a_call_a_browser_asks(client: Client, path: str, method: str) -> None:
    asked = {
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type,if-match,idempotency-key",
    }
    answer = client.options(path, headers={"Origin": ALLOWED, **asked})
    shown = headers_of(answer)
    assert answer.status_code == 200
    assert shown["access-control-allow-origin"] == ALLOWED
    assert method in {*shown["access-control-allow-methods"].split(", "), "HEAD"}
    assert {*asked["Access-Control-Request-Headers"].split(",")} <= {
        *shown["access-control-allow-headers"].split(", ")
    }
    assert "access-control-allow-credentials" not in shown
    for origin in OTHERS:
        assert headers_of(client.options(path, headers={"Origin": origin, **asked})) == {}


@pytest.mark.parametrize("path", CLOSED)
def test_nothing_else_is_shown(client: Client, path: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        asked = {"Origin": ALLOWED, "Access-Control-Request-Method": "GET"}
        assert headers_of(client.generic(method, path, headers=asked)) == {}, method


def test_a_session_of_another_origin_writes_nothing() -> None:
    """A browser that sends the cookie all the same: the token of the form is missing."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(UserFactory.create(superuser=True))
    for origin in (ALLOWED, *OTHERS):
        answer = client.post(
            "/api/v1/segments/",
            {"key": "beta", "name": "Beta"},
            content_type="application/json",
            headers={"Origin": origin},
        )
        assert answer.status_code == 403, origin
