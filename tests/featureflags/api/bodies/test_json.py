"""Bodies that another program would read otherwise: refused by name, and never read in part."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from featureflags.models import Segment
from tests.factories import SegmentFactory, UserFactory, token_for
from tests.users.api.conftest import Caller

pytestmark = pytest.mark.django_db

ONE = "/api/v1/segments/beta/"
JSON = "application/json"


@pytest.fixture
def root(by_key: Caller) -> APIClient:
    SegmentFactory.create(key="beta", name="Beta")
    return by_key(UserFactory.create(superuser=True))


def patch(client: Any, body: str | bytes, content_type: str = JSON, **headers: str) -> Any:
    return client.generic("PATCH", ONE, body, content_type=content_type, headers=headers)


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "One", "name": "Two"}',
        '{"name": "One", "rules": [{"clauses": [], "clauses": [1]}]}',
        '{"name": "One", "n\\u0061me": "Two"}',
        '\ufeff{"name": "One"}',
        '{"name": NaN}',
        "[" * 50_000,
        '{"name": ' + "9" * 5_000 + "}",
    ],
)
def test_what_is_not_one_value_is_malformed(root: APIClient, body: str) -> None:
    answer = patch(root, body)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:guidon:problem:malformed")
    assert Segment.objects.get(key="beta").name == "Beta"


def test_the_member_that_is_there_twice_is_named(root: APIClient) -> None:
    assert "'name' twice" in patch(root, '{"name": "One", "name": "One"}').json()["detail"]


@pytest.mark.parametrize("number", ["1e400", "-1e400", "[1, {}, 1e999]"])
def test_a_number_beyond_a_double_is_named(root: APIClient, number: str) -> None:
    answer = patch(root, f'{{"tags": {number}}}')
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["tags"])


@pytest.mark.parametrize("charset", ["rot13", "zlib", "hex", "idna", "utf-16", "utf-7", "nonsense"])
def test_json_is_utf_8_whatever_its_type_says(root: APIClient, charset: str) -> None:
    answer = patch(root, '{"name": "Zoë"}', f"{JSON}; charset={charset}")
    assert answer.status_code == 200
    assert Segment.objects.get(key="beta").name == "Zoë"
    wrong = patch(root, '{"name": "Zoë"}'.encode("utf-16"), f"{JSON}; charset=utf-16")
    assert (wrong.status_code, "UTF-8" in wrong.json()["detail"]) == (400, True)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "nonsense"])
def test_a_body_that_is_encoded_is_said_to_be_so(root: APIClient, encoding: str) -> None:
    answer = patch(root, b"\x1f\x8b", **{"Content-Encoding": encoding})
    assert (answer.status_code, answer.json()["type"]) == (
        415,
        "urn:guidon:problem:unsupported-media-type",
    )
    assert "Content-Encoding" in answer.json()["detail"]
    assert patch(root, "{}", **{"Content-Encoding": "identity"}).status_code == 200
    ofrep = Client().post(
        "/ofrep/v1/evaluate/flags",
        b"\x1f\x8b",
        content_type=JSON,
        headers={"Authorization": f"Bearer {token_for()}", "Content-Encoding": encoding},
    )
    assert (ofrep.status_code, ofrep.json()["errorCode"]) == (415, "GENERAL")


@pytest.mark.parametrize("condition", ["If-Match", "If-None-Match"])
def test_no_condition_is_left_out(root: APIClient, condition: str) -> None:
    """A write that looks at no version must not be made by a caller who asks for one."""
    user = UserFactory.create(name="Ada")
    for method, path, body in (
        ("post", "/api/v1/segments/", {"key": "new", "name": "New"}),
        ("patch", f"/api/v1/users/{user.pk}/", {"name": "New"}),
        ("post", f"{ONE}members/", {"user": str(user.pk), "kind": "include"}),
        ("post", f"{ONE}bulk-members/", {"change": "replace", "members": []}),
        ("post", f"{ONE}copy/", {"key": "new", "name": "New"}),
    ):
        answer = getattr(root, method)(path, body, format="json", headers={condition: '"1"'})
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [condition]), path
    user.refresh_from_db()
    assert (user.name, Segment.objects.filter(key="new").exists()) == ("Ada", False)
    if condition == "If-None-Match":
        assert patch(root, '{"name": "New"}', **{condition: "*"}).status_code == 400
    assert root.get(ONE, headers={"If-Match": '"7"'}).status_code == 200


@pytest.mark.parametrize("tag", ['"1"', 'W/"1"', '"7", "1"', "*"])
def test_a_segment_that_the_caller_has_is_304(root: APIClient, tag: str) -> None:
    for ask in (root.get, root.head):
        answer = ask(ONE, headers={"If-None-Match": tag})
        assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", '"1"')
    Segment.objects.get(key="beta").save()
    assert patch(root, '{"name": "New"}').status_code == 200
    if tag != "*":
        assert root.get(ONE, headers={"If-None-Match": tag}).status_code == 200
    for other in ('"7"', "1", "nonsense", '"'):
        assert root.get(ONE, headers={"If-None-Match": other}).status_code == 200


def test_a_parameter_that_is_sent_twice_is_refused(root: APIClient) -> None:
    for query in ("page_size=1&page_size=2", "search=a&search=a", "is_active=true&is_active=false"):
        answer = root.get(f"/api/v1/segments/?{query}")
        name = query.partition("=")[0]
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [name])


@pytest.mark.parametrize("path", ["/api/v1/segments/", "/api/v1/users/"])
def test_a_search_has_a_bounded_number_of_words(root: APIClient, path: str) -> None:
    """SQLite refuses an expression of more than 1,000 levels, though it is not away."""
    assert root.get(path, {"search": "a " * 20}).status_code == 200
    answer = root.get(path, {"search": "a " * 1500})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["search"])


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_moment_beyond_the_calendar_is_refused(root: APIClient, moment: str) -> None:
    answer = root.get("/api/v1/segments/", {"changed_since": moment})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["changed_since"])
    for edge in ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-01-01T00:00:00+14:00"):
        assert root.get("/api/v1/segments/", {"changed_since": edge}).status_code == 200, edge
