"""The client of another installation: what it tries again, its bounds, and the order of writes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from featureflags.core.conf import app_settings, setting_problems
from featureflags.editing.installations import (
    Difference,
    Installation,
    InstallationError,
    configured,
    differences,
)
from featureflags.editing.installations import client as module
from featureflags.editing.installations.promoting import in_order
from featureflags.models.changesets import SegmentState
from tests.factories import SegmentFactory, UserFactory, clause, rule

KEY = "gdn_a-secret-that-is-nowhere"


class Other(ThreadingHTTPServer):
    """Answers what a test wants, in order; the last one again and again."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.asked: list[tuple[str, str, dict[str, str]]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Other

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, self.path, headers))
        answers = self.server.answers
        status, extra, body = answers[0] if len(answers) == 1 else answers.pop(0)
        self.send_response(status)
        for name, value in extra.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PATCH = do_GET  # noqa: N815 - names of http.server

    def log_message(self, *_args: object) -> None:
        """Nothing."""


@pytest.fixture
def other(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Other]:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "WEBHOOK_PRIVATE_ADDRESSES": True}
    monkeypatch.setattr(module, "FIRST_WAIT", 0.01)
    with Other() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def installation(other: Other) -> Installation:
    return Installation(name="staging", url=f"http://127.0.0.1:{other.server_port}/api", key=KEY)


def page(*items: dict[str, Any], more: bool = False) -> tuple[int, dict[str, str], bytes]:
    body = {"results": list(items), "next": "x" if more else None}
    return 200, {}, json.dumps(body).encode()


EMPTY = page()


def test_all_pages_are_read_archived_ones_too(other: Other) -> None:
    other.answers = [page({"key": "a"}, more=True), page({"key": "b"}), page({"key": "old"})]
    assert [each["key"] for each in installation(other).segments()] == ["a", "b", "old"]
    paths = [path for _method, path, _headers in other.asked]
    assert paths[1] == "/api/segments/?is_archived=false&page=2&page_size=100"
    assert paths[2].startswith("/api/segments/?is_archived=true&page=1")
    assert other.asked[0][2]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_can_get_better_is_tried_again(other: Other, status: int) -> None:
    other.answers = [(status, {"Retry-After": "0"}, b"{}"), EMPTY, EMPTY]
    assert list(installation(other).segments()) == []
    assert len(other.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_no_other_refusal_is(other: Other, status: int) -> None:
    other.answers = [(status, {}, json.dumps({"detail": f"No. {KEY}"}).encode())]
    with pytest.raises(InstallationError, match=f"staging answered {status}. No. …") as failed:
        list(installation(other).segments())
    assert failed.value.status == status
    assert len(other.asked) == 1


def test_a_write_is_done_once(other: Other) -> None:
    other.answers = [(503, {}, b""), (200, {}, b"{}")]
    installation(other).change("beta", {"name": "Beta"})
    keys = {headers["idempotency-key"] for _method, _path, headers in other.asked}
    assert (len(other.asked), len(keys)) == (2, 1)


def test_it_ends_after_some_attempts_and_does_not_wait_for_long(other: Other) -> None:
    other.answers = [(503, {}, b"")]
    with pytest.raises(InstallationError, match="answered 503"):
        installation(other).examine("beta", {})
    assert len(other.asked) == module.ATTEMPTS
    other.asked.clear()
    other.answers = [(429, {"Retry-After": "3600"}, b"{}")]
    with pytest.raises(InstallationError, match="answered 429"):
        installation(other).examine("beta", {})
    assert len(other.asked) == 1


def test_an_answer_that_is_too_large_or_no_json(
    other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    other.answers = [(200, {}, b"<html>")]
    with pytest.raises(InstallationError, match="another form"):
        list(installation(other).segments())
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    other.answers = [(200, {}, b" " * 101)]
    with pytest.raises(InstallationError, match="sent more than"):
        list(installation(other).segments())


def test_nobody_there_and_the_key_in_no_text() -> None:
    gone = Installation(name="staging", url="http://127.0.0.1:1/api", key=KEY)
    assert KEY not in repr(gone)
    with pytest.raises(InstallationError, match="must begin with https"):
        list(gone.segments())
    private = Installation(name="staging", url="https://127.0.0.1:1/api", key=KEY)
    with pytest.raises(InstallationError, match="not public") as failed:
        list(private.segments())
    assert KEY not in str(failed.value)


def test_the_setting_is_read_and_its_keys_are_in_no_representation(settings: Settings) -> None:
    entry = f"staging https://staging.example.com/api/v1 {KEY}"
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "INSTALLATIONS": [entry]}
    found = configured()
    assert list(found) == ["staging"]
    assert found["staging"].key == KEY
    assert KEY not in repr(app_settings())


def test_a_wrong_entry_is_named_by_the_checks_without_its_key(settings: Settings) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "INSTALLATIONS": [f"staging {KEY}"]}
    [problem] = setting_problems()
    assert "not a name, an address and a key" in problem.words
    assert KEY not in str(problem)
    assert configured() == {}


@pytest.mark.django_db
def test_what_differs_is_found_and_an_owner_is_no_difference() -> None:
    rules = [rule(clause("custom_plan", "in", "pro"))]
    SegmentFactory.create(key="same", name="Same", rules=rules, owner=UserFactory.create())
    SegmentFactory.create(key="other", name="Here")
    there = [
        {
            "key": "same",
            "name": "Same",
            "is_active": True,
            "rules": rules,
            "owner": "x",
            "version": 9,
        },
        {"key": "other", "name": "There", "is_active": True, "rules": []},
        {"key": "theirs", "name": "Theirs", "is_active": True, "rules": []},
    ]
    found = {each.key: each for each in differences(there)}
    assert "same" not in found
    assert found["other"].lines(to_there=True) == ["Name changed from “There” to “Here”"]
    assert found["other"].lines(to_there=False) == ["Name changed from “Here” to “There”"]
    assert found["theirs"].here is None
    assert found["employee"].there is None


def test_each_comes_after_those_that_it_names() -> None:
    def one(key: str, *names: str) -> Difference:
        rules: Any = [rule(clause("", "segmentMatch", *names))] if names else []
        state = SegmentState(
            key=key, name=key, description="", is_active=True, rules=rules, version=1
        )
        return Difference(key=key, here=state, there=None)

    found = in_order([one("a", "c"), one("b"), one("c", "b", "elsewhere")])
    assert [each.key for each in found] == ["b", "c", "a"]
