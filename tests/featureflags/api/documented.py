"""Whether an answer is what the OpenAPI schema says: its status, headers, form, and every member of its body."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match

PREFIXES: Final = ("/api/v1/", "/ofrep/v1/")
SHOWN: Final = ("/api/v1/schema/", "/api/v1/docs/")
"""The schema itself, and the page that shows it."""
NOT_THERE: Final = {404, 405, 401, 403, 429}
"""What an address or a method that the schema does not have may answer: a caller without permission hears of that first."""


@cache
def schema() -> dict[str, Any]:
    """The schema as the API serves it."""
    generator: Any = SchemaGenerator  # it has no types
    found: dict[str, Any] = generator(urlconf="config.urls").get_schema(public=True)
    return found


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method in capitals, and what the schema has of it."""
    for path, methods in schema()["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """From the most literal path to the least: `users/me/` before `users/{id}/`."""
    paths = sorted(schema()["paths"], key=lambda path: (path.count("{"), -len(path)))
    return [(re.compile(_pattern(path) + r"\Z"), path) for path in paths]


def _pattern(path: str) -> str:
    """The key of a row may hold slashes: where it is the last part."""
    if path.startswith("/api/v1/context") or "/members/{" in path:
        path = re.sub(r"\{\w+\}/\Z", r"[\\s\\S]+/", path)
    return re.sub(r"\{[^}]+\}", "[^/]+", path)


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """What the schema says of a request; None: there is no such operation."""
    if (method, path) == ("GET", "/api/v1/flags/evaluate/"):
        # The flag that is called so.
        path = "/api/v1/flags/any/"
    for pattern, template in _patterns():
        if pattern.match(path):
            found: dict[str, Any] | None = schema()["paths"][template].get(method.lower())
            return found
    return None


@cache
def _components() -> dict[str, Any]:
    """The components, closed: a member that the schema does not name is an error."""
    closed: dict[str, Any] = _closed(schema()["components"])
    return closed


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {name: _closed(each) for name, each in node.items()}
    if isinstance(found.get("properties"), dict) and found.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found


def problem_of(value: object, shape: Mapping[str, Any]) -> str | None:
    """Why a value is not of this shape of the schema; None: it is."""
    document = {**_closed(dict(shape)), "components": _components()}
    validator = Draft202012Validator(document, format_checker=FormatChecker())
    error = best_match(validator.iter_errors(value))
    return None if error is None else f"{error.json_path}: {error.message[:500]}"


def check(method: str, path: str, response: Any) -> None:
    """Raises AssertionError for an answer that the schema does not say."""
    if not path.startswith(PREFIXES) or path in SHOWN or method in {"HEAD", "OPTIONS"}:
        return
    what, status = f"{method} {path}", response.status_code
    operation = operation_of(method, path)
    if operation is None:
        assert status in NOT_THERE or 301 <= status <= 308, f"{what}: {status} of no operation"
        return
    answer = operation["responses"].get(str(status))
    assert answer is not None, f"{what}: {status} is not in the schema: {response.content[:300]!r}"
    for name, header in answer.get("headers", {}).items():
        assert not header.get("required") or name in response.headers, f"{what}: no {name}"
    content = answer.get("content", {})
    if not content:
        assert not response.content, f"{what}: {status} has a body"
        return
    kind = response.headers["Content-Type"].partition(";")[0]
    assert kind in content, f"{what}: {status} is {kind}"
    # What is streamed is for the test to read.
    if kind.endswith("json") and not response.streaming:
        problem = problem_of(response.json(), content[kind]["schema"])
        assert problem is None, f"{what}: {status}: {problem}"
