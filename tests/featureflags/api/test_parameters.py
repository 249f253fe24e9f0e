"""Query parameters, one way over every operation: what is unknown or wrong is refused, and never ignored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient

from featureflags.editing import change_to, examine, make_plan
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, token_for
from tests.featureflags.api.documented import operations

pytestmark = pytest.mark.django_db

WRITES = ("POST", "PUT", "PATCH", "DELETE")


def addresses(method: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each address of the API with that method, with a place for each key."""
    for path, its_method, operation in operations():
        if its_method == method and path.startswith("/api/"):
            yield path, operation


def named(method: str) -> list[Any]:
    return [
        pytest.param(path, operation, id=operation["operationId"])
        for path, operation in addresses(method)
    ]


def takes(operation: dict[str, Any], name: str) -> bool:
    return any(each["name"] == name for each in operation.get("parameters", ()))


@pytest.fixture
def filled() -> dict[str, str]:
    """The value of each variable of a path."""
    member = SegmentMemberFactory.create(segment=SegmentFactory.create(key="beta"))
    key = str(member.user_id)
    names = {"segment_key": "beta", "user_id": key, "id": key, "kind": "user", "key": "beta"}
    plan = make_plan(examine(change_to(member.segment)), author=None, source="api")
    return names | {"plan": str(plan.pk)}


@pytest.fixture
def root() -> APIClient:
    owner = UserFactory.create(superuser=True)
    return APIClient(headers={"authorization": f"Bearer {token_for(owner)}"})


def address(path: str, filled: dict[str, str]) -> str:
    values = dict(filled)
    if path.startswith("/api/v1/context"):
        values["key"] = filled["id"]
    if path.startswith("/api/v1/flags/"):
        values["key"] = "internal-tools"
    if path.startswith("/api/v1/proposals/"):
        values["id"] = filled["plan"]
    return re.sub(r"\{(\w+)\}", lambda found: values[found[1]], path)


@pytest.mark.parametrize(("path", "operation"), named("GET"))
def test_a_read(
    path: str, operation: dict[str, Any], root: APIClient, filled: dict[str, str]
) -> None:
    where = address(path, filled)
    subject = {"subject": filled["id"]} if takes(operation, "subject") else {}
    answer = root.get(where, {"colour": "red", **subject})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["colour"])
    for size in ("null", "0", "501", "1e2", ""):
        answer = root.get(where, {"page_size": size, **subject})
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["page_size"]), size
    if takes(operation, "page_size"):
        assert root.get(where, {"page_size": "1"}).status_code == 200
        assert root.get(where, {"page": "null"}).status_code == 404


def wrong_values(parameter: dict[str, Any]) -> list[str]:
    """What the schema of a parameter excludes."""
    schema = parameter["schema"]
    if "pattern" in schema:
        return ["", " ", "nonsense", "name,", ",name", "-", "name, created_at"]
    is_closed = "enum" in schema or schema.get("type") in {"boolean", "integer"}
    return ["", "nonsense"] if is_closed else []


@pytest.mark.parametrize(("path", "operation"), named("GET"))
def test_a_value_that_the_schema_excludes(
    path: str, operation: dict[str, Any], root: APIClient, filled: dict[str, str]
) -> None:
    where = address(path, filled)
    subject = {"subject": filled["id"]} if takes(operation, "subject") else {}
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "query":
            name = parameter["name"]
            for value in wrong_values(parameter):
                answer = root.get(where, {**subject, name: value})
                assert answer.status_code in {400, 404}, (name, value)
                assert answer.status_code == 400 or name == "page", (name, value)


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        pytest.param(method, path, operation, id=operation["operationId"])
        for method in WRITES
        for path, operation in addresses(method)
    ],
)
def test_a_write(
    method: str, path: str, operation: dict[str, Any], root: APIClient, filled: dict[str, str]
) -> None:
    del operation
    where = f"{address(path, filled)}?colour=red"
    answer = root.generic(method, where, "{}", content_type="application/json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["colour"])
