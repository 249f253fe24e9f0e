"""What is answered where no view answers: a page in a project that has none of its own, and the API's form."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from pytest_django.fixtures import Settings

from tests.factories import UserFactory


def away(_request: HttpRequest) -> HttpResponse:
    raise OperationalError("password=secret")


urlpatterns = [path("away/", away)]


@pytest.mark.django_db
@pytest.mark.urls(__name__)
def test_the_app_brings_a_page(settings: Settings) -> None:
    settings.TEMPLATES = deepcopy(settings.TEMPLATES)
    settings.TEMPLATES[0]["DIRS"] = []
    settings.MIDDLEWARE = ["featureflags.unavailable.UnavailableMiddleware"]

    response = Client().get("/away/")

    assert (response.status_code, response["Retry-After"]) == (503, "5")
    page = response.content.decode()
    assert "<h1>Not available just now</h1>" in page
    assert "secret" not in page
    assert "Guidon" not in page


class TestTheApi:
    """An address of the API answers in its own form, also what never reached its views."""

    def check(self, answer: Any, status: int, kind: str) -> None:
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
        assert answer["Cache-Control"] == "private, no-store"
        body = answer.json()
        assert (body["type"], body["status"]) == (f"urn:guidon:problem:{kind}", status)
        assert body["request_id"] == answer["X-Request-ID"]
        assert "secret" not in answer.content.decode()

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        ("query", "host"),
        [("&".join(f"a{n}=1" for n in range(1100)), "localhost"), ("", "evil.example.com")],
    )
    def test_what_a_middleware_refuses(self, query: str, host: str) -> None:
        for address in ("/api/v1/segments/", "/api/v1/nothing/"):
            self.check(
                Client().get(f"{address}?{query}", headers={"Host": host}), 400, "validation"
            )
        answer = Client().post(
            f"/ofrep/v1/evaluate/flags?{query}", b"{}", "application/json", headers={"Host": host}
        )
        assert (answer.status_code, answer["Content-Type"]) == (400, "application/json")
        assert answer.json()["errorCode"] == "PARSE_ERROR"
        page = Client().get(f"/login/?{query}", headers={"Host": host})
        assert page["Content-Type"].startswith("text/html")

    @pytest.mark.django_db
    def test_what_nobody_foresaw(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_args: object) -> None:
            raise ZeroDivisionError("secret")

        monkeypatch.setattr("featureflags.api.pagination.Pages.get_page_size", fail)
        root = Client(raise_request_exception=False)
        root.force_login(UserFactory.create(superuser=True))
        self.check(root.get("/api/v1/segments/"), 500, "error")

    @pytest.mark.django_db
    def test_a_database_that_is_away_outside_the_view(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_args: object) -> None:
            raise OperationalError("secret")

        monkeypatch.setattr("users.middleware.note_seen", fail)
        answer = Client(raise_request_exception=False).get("/api/v1/flags/")
        self.check(answer, 503, "unavailable")
        assert answer["Retry-After"] == "5"
