"""The OpenAPI schema, the page that shows it, and what the API says when something fails."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, InterfaceError, InternalError, OperationalError
from django.db.models import ProtectedError
from drf_spectacular.generators import SchemaGenerator
from psycopg.errors import ReadOnlySqlTransaction
from rest_framework.test import APIClient

from config.schema_view import DrawnOnce
from featureflags.api.exceptions import exception_handler
from tests.factories import UserFactory


def test_the_schema_is_valid_and_complete(tmp_path: Path) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", f"{tmp_path}/schema.yml")


@pytest.mark.django_db
def test_the_schema_is_served_with_every_path() -> None:
    schema = APIClient().get("/api/v1/schema/", {"format": "json"}).json()
    assert sorted(schema["paths"]) == [
        "/api/v1/bootstrap/",
        "/api/v1/context-flags/{kind}/{key}/",
        "/api/v1/context-segments/{kind}/{key}/",
        "/api/v1/contexts/{kind}/{key}/",
        "/api/v1/events/exposure/",
        "/api/v1/events/track/",
        "/api/v1/flags/",
        "/api/v1/flags/evaluate/",
        "/api/v1/flags/{key}/",
        "/api/v1/flags/{key}/explain/",
        "/api/v1/proposals/",
        "/api/v1/proposals/{id}/",
        "/api/v1/proposals/{id}/apply/",
        "/api/v1/proposals/{id}/approve/",
        "/api/v1/proposals/{id}/comments/",
        "/api/v1/proposals/{id}/refuse/",
        "/api/v1/proposals/{id}/withdraw/",
        "/api/v1/segment-documents/",
        "/api/v1/segments/",
        "/api/v1/segments/{key}/",
        "/api/v1/segments/{key}/bulk-members/",
        "/api/v1/segments/{key}/copy/",
        "/api/v1/segments/{key}/examine/",
        "/api/v1/segments/{key}/explain/",
        "/api/v1/segments/{key}/freeze/",
        "/api/v1/segments/{key}/history/",
        "/api/v1/segments/{key}/lint/",
        "/api/v1/segments/{key}/overlap/",
        "/api/v1/segments/{key}/preview/",
        "/api/v1/segments/{key}/restore/",
        "/api/v1/segments/{key}/size/",
        "/api/v1/segments/{segment_key}/members/",
        "/api/v1/segments/{segment_key}/members/{user_id}/",
        "/api/v1/users/",
        "/api/v1/users/me/",
        "/api/v1/users/me/context/",
        "/api/v1/users/{id}/",
        "/ofrep/v1/evaluate/flags",
        "/ofrep/v1/evaluate/flags/{key}",
    ]
    assert set(schema["components"]["securitySchemes"]) == {"session", "apiKey"}


@pytest.mark.django_db
def test_the_page_asks_no_other_host() -> None:
    client = APIClient()
    client.force_login(UserFactory.create())
    page = client.get("/api/v1/docs/").content.decode()
    addresses = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
    assert re.findall(r"(?:https?:)?//[\w.-]+\.\w+", page) == []
    local = [address for address in addresses if address.startswith("/static/")]
    assert len(local) >= 3
    for address in local:
        assert finders.find(address.removeprefix("/static/")), address


def read_only() -> InternalError:
    """As Django raises it for a write that a standby refuses."""
    error = InternalError("gone read-only")
    error.__cause__ = ReadOnlySqlTransaction()
    return error


@pytest.mark.parametrize("error", [OperationalError("gone"), InterfaceError("closed"), read_only()])
def test_a_database_that_is_down_is_503(error: Exception) -> None:
    answer = exception_handler(error, {})
    assert answer is not None
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "gone" not in str(answer.data)


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (ValidationError({"rules": ["Rule 1: no"]}), {"rules": ["Rule 1: no"]}),
        (ValidationError({"__all__": ["Twice"]}), {"non_field_errors": ["Twice"]}),
        (ValidationError("Full"), {"non_field_errors": ["Full"]}),
        (ValidationError(["A", "B"]), {"non_field_errors": ["A", "B"]}),
    ],
)
def test_what_a_model_refuses_is_400(error: Exception, detail: object) -> None:
    answer = exception_handler(error, {})
    assert answer is not None
    assert (answer.status_code, answer.data["errors"]) == (400, detail)


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (ProtectedError("Used by two.", set()), "Used by two."),
        (IntegrityError("key=x"), "Somebody changed this in the meantime. Look again."),
    ],
)
def test_a_write_that_is_refused_by_the_database_is_409(error: Exception, detail: str) -> None:
    answer = exception_handler(error, {})
    assert answer is not None
    assert (answer.status_code, answer.data["detail"]) == (409, detail)


def test_a_mistake_of_ours_stays_one() -> None:
    assert exception_handler(ZeroDivisionError(), {}) is None
    assert exception_handler(InternalError("another reason"), {}) is None


def schema_of_a_thread() -> object:
    made: DrawnOnce = DrawnOnce()  # type: ignore[no-untyped-call]  # it has no types
    return made.get_schema()


def test_threads_that_ask_at_once_draw_the_schema_once(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, drawn = [], []

    def draw(*_args: object, **_kwargs: object) -> dict[str, str]:
        inside.append(1)
        time.sleep(0.02)
        drawn.append(len(inside))
        inside.pop()
        return {}

    monkeypatch.setattr(SchemaGenerator, "get_schema", draw)
    monkeypatch.setattr("config.schema_view._drawn", {})
    together = threading.Barrier(4)

    def ask(_number: int) -> object:
        together.wait()
        return schema_of_a_thread()

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, range(4))) == [{}] * 4
    assert drawn == [1]


@pytest.mark.django_db
@pytest.mark.parametrize("odd", ["version=a%0Ab", "version=%22%3B", "lang=" + "a" * 5000])
def test_parameters_do_not_change_the_headers_of_the_schema(odd: str) -> None:
    answer = APIClient().get(f"/api/v1/schema/?{odd}")
    assert (answer.status_code, answer["Content-Disposition"]) == (
        200,
        'inline; filename="Guidon.yaml"',
    )
