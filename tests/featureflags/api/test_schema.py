"""The OpenAPI schema: valid, complete, with examples that are true, and without internals.

Whether real answers are what it says: each test of the API checks that, see `checked.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from featureflags.api.problems import URN
from featureflags.segments.operator_labels import OPERATORS
from tests.featureflags.api.documented import operation_of, operations, problem_of, schema
from tests.services.processes import manage

ROOT = Path(__file__).resolve().parents[3]
OPERATIONS = [
    pytest.param(path, method, each, id=each["operationId"]) for path, method, each in operations()
]
every_operation = pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)


def test_it_is_valid_and_drawn_without_a_warning(tmp_path: Path) -> None:
    """In a process of its own: drf-spectacular says some of them once."""
    drawn = tmp_path / "schema.yaml"
    ended = manage({}, "spectacular", "--validate", "--fail-on-warn", "--file", str(drawn))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert drawn.stat().st_size


def bodies(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a request and its answers hold, by name."""
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        yield f"request {kind}", body
    for status, answer in operation["responses"].items():
        for kind, body in answer.get("content", {}).items():
            yield f"{status} {kind}", body


@every_operation
def test_it_has_examples_and_they_are_true(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    """A request and an answer at least; each is what the schema says."""
    for name, body in bodies(operation):
        examples = list(body.get("examples", {}).values())
        if name.startswith(("request", "2")):
            assert examples, f"{method} {path}: {name} has no example"
        for example in examples:
            assert problem_of(example["value"], body["schema"]) is None, (name, example)


@every_operation
def test_every_error_is_there(path: str, method: str, operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    expected = {"400", "401", "403", "406", "429", "503"}
    expected |= {"404"} if "{" in path else set()
    expected |= {"413", "415"} if "requestBody" in operation else set()
    assert expected <= set(answers)
    for status, answer in answers.items():
        if status >= "400" and path.startswith("/api/"):
            assert set(answer["content"]) == {"application/problem+json"}, status
            assert URN in answer["description"]
    assert answers["429"]["headers"]["Retry-After"]["required"]
    assert answers["401"]["headers"]["WWW-Authenticate"]["required"]


def component(name: str) -> dict[str, Any]:
    found: dict[str, Any] = schema()["components"]["schemas"][name]
    return found


def parameters(method: str, path: str) -> dict[str, dict[str, Any]]:
    operation = operation_of(method, path)
    assert operation is not None
    return {each["name"]: each for each in operation["parameters"]}


def test_versions_and_confirmations() -> None:
    one = "/api/v1/segments/paying/"
    for method in ("PUT", "PATCH", "DELETE"):
        assert parameters(method, one)["If-Match"]["in"] == "header"
        operation = operation_of(method, one)
        assert operation is not None
        conflict = operation["responses"]["409"]["content"]["application/problem+json"]
        assert conflict["schema"]["$ref"].endswith("/Conflict")
    for method, path, status in (
        ("GET", one, "200"),
        ("PUT", one, "200"),
        ("POST", "/api/v1/segments/", "201"),
    ):
        operation = operation_of(method, path)
        assert operation is not None
        assert operation["responses"][status]["headers"]["ETag"]["required"]
    for path in (one, f"{one}members/6d0c3a52-0000-4000-8000-000000000000/"):
        assert {"confirm", "note"} <= set(parameters("DELETE", path))
    shape = component("ConfirmationRequired")
    assert {"entering", "leaving", "flags", "flags_known", "reasons", "changes", "confirm"} <= set(
        shape["required"]
    )


def test_types_are_exact() -> None:
    change = component("Change")["properties"]
    for name in ("entering", "leaving"):
        assert change[name]["type"] == ["integer", "null"]
    clause = component("ClauseRequest")["properties"]
    assert clause["op"] == {"$ref": "#/components/schemas/OpEnum"}
    assert component("OpEnum")["enum"] == list(OPERATORS)
    assert clause["contextKind"]["type"] == ["string", "null"]
    for path, names in (
        ("/api/v1/segments/", ["is_active"]),
        ("/api/v1/users/", ["email_verified", "is_active", "is_staff"]),
    ):
        for name in names:
            assert parameters("GET", path)[name]["schema"] == {"type": "boolean"}


def test_requests_and_answers_have_components_of_their_own() -> None:
    sent, read = component("SegmentRequest"), component("Segment")
    assert not {"version", "created_at", "updated_at", "warnings"} & set(sent["properties"])
    assert not {"note", "confirm"} & set(read["properties"])
    assert set(read["required"]) == set(read["properties"])
    assert sent["additionalProperties"] is False


def texts(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for each in node:
            yield from texts(each)
    elif isinstance(node, dict):
        for name, each in node.items():
            if name in {"description", "title", "summary"} and isinstance(each, str):
                yield each
            else:
                yield from texts(each)


INTERNAL = re.compile(
    r"Hidden SQL|featureflags\.|\busers\.[a-z]|\bDRF\b|Django's|queryset|serializer", re.IGNORECASE
)


def test_no_description_tells_of_the_inside() -> None:
    assert [text for text in texts(schema()) if INTERNAL.search(text)] == []
