"""The client of another installation: what it tries again, and its bounds."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from featureflags.core.conf import app_settings, setting_problems
from featureflags.editing.installations import (
    Installation,
    InstallationError,
    Push,
    Sent,
    configured,
)
from featureflags.editing.installations import client as module
from tests.featureflags.editing.installations.another import KEY, Other


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


def page(*keys: str, after: object = None, **more: Any) -> tuple[int, dict[str, str], bytes]:
    segments = {key: {"key": key, "name": key, "rules": []} for key in keys}
    body = {"segments": segments, "names": {}, "problems": {}, "next": after, **more}
    return 200, {}, json.dumps(body).encode()


EMPTY = page()


def test_all_pages_are_read(other: Other) -> None:
    one = {"user": {"1": "ada@example.com"}}
    other.answers = [page("a", after="a", names=one), page("b", names={"user": {"2": "x"}})]
    found = installation(other).segments()
    assert list(found["segments"]) == ["a", "b"]
    assert found["names"] == {"user": {"1": "ada@example.com", "2": "x"}}
    assert [path for _method, path, _headers in other.asked] == [
        "/api/segment-documents/",
        "/api/segment-documents/?after=a",
    ]
    assert other.asked[0][2]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_can_get_better_is_tried_again(other: Other, status: int) -> None:
    other.answers = [(status, {"Retry-After": "0"}, b"{}"), EMPTY]
    assert installation(other).segments()["segments"] == {}
    assert len(other.asked) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_no_other_refusal_is(other: Other, status: int) -> None:
    other.answers = [(status, {}, json.dumps({"detail": f"No. {KEY}"}).encode())]
    with pytest.raises(InstallationError, match=f"staging answered {status}. No. …") as failed:
        installation(other).segments()
    assert failed.value.status == status
    assert len(other.asked) == 1


def test_a_write_is_done_once(other: Other) -> None:
    other.answers = [(503, {}, b""), (200, {}, b"{}")]
    installation(other).write({"segments": {}})
    keys = {headers["idempotency-key"] for _method, _path, headers in other.asked}
    assert (len(other.asked), len(keys)) == (2, 1)


def test_it_ends_after_some_attempts_and_does_not_wait_for_long(other: Other) -> None:
    other.answers = [(503, {}, b"")]
    with pytest.raises(InstallationError, match="answered 503"):
        installation(other).write({}, is_dry=True)
    assert len(other.asked) == module.ATTEMPTS
    other.asked.clear()
    other.answers = [(429, {"Retry-After": "3600"}, b"{}")]
    with pytest.raises(InstallationError, match="answered 429"):
        installation(other).write({}, is_dry=True)
    assert len(other.asked) == 1


def test_an_answer_that_is_too_large_or_no_json(
    other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    other.answers = [(200, {}, b" " * 101)]
    with pytest.raises(InstallationError, match="sent more than"):
        installation(other).segments()


def test_nobody_there_and_the_key_in_no_text() -> None:
    gone = Installation(name="staging", url="http://127.0.0.1:1/api", key=KEY)
    assert KEY not in repr(gone)
    with pytest.raises(InstallationError, match="must begin with https"):
        gone.segments()
    private = Installation(name="staging", url="https://127.0.0.1:1/api", key=KEY)
    with pytest.raises(InstallationError, match="not public") as failed:
        private.segments()
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


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>Log in</body></html>",
        b"[]",
        b"{}",
        b"null",
        b'{"results": [{"key": "beta"}], "next": null}',
        b'{"segments": [], "names": {}, "problems": {}, "next": null}',
        b'{"segments": {}, "names": {}, "problems": {}, "next": 7}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer_of_the_api_is_named(other: Other, body: bytes) -> None:
    other.answers = [(200, {}, body)]
    with pytest.raises(InstallationError, match="answered in another form"):
        installation(other).segments()
    sent = Sent(segments={}, names={}, problems={})
    push = Push(other=installation(other), sent=sent, with_members=False)
    with pytest.raises(InstallationError, match="answered in another form"):
        push.examine()


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (301, "It redirects"),
        (302, "It redirects"),
        (401, "does not know the key"),
        (403, "may not do this there"),
        (404, "an older release"),
        (413, "fewer segments"),
    ],
)
def test_a_refusal_names_what_to_do(other: Other, status: int, hint: str) -> None:
    other.answers = [(status, {"Location": "https://elsewhere.example.com/"}, b"<html>")]
    with pytest.raises(InstallationError, match=f"answered {status}.*{hint}") as failed:
        installation(other).segments()
    assert "elsewhere" not in str(failed.value)
    assert len(other.asked) == 1


def test_a_frozen_one_is_left_in_time(other: Other, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection, and never answers: without a limit this test would not end."""
    monkeypatch.setattr(module, "READ_SECONDS", 0.4)
    monkeypatch.setattr(module, "WRITE_SECONDS", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        url = f"http://127.0.0.1:{frozen.getsockname()[1]}/api"
        one = Installation(name="staging", url=url, key=KEY)
        with pytest.raises(InstallationError, match="staging did not answer") as failed:
            one.segments()
        assert "not known" not in str(failed.value)
        with pytest.raises(InstallationError, match="Whether it was written is not known"):
            one.write({"segments": {}})


def test_endless_pages_end(other: Other, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_SECONDS", 0.3)
    pages = [page("a", after="a"), page("b", after="b")] * 50_000
    other.answers = list(pages)
    with pytest.raises(InstallationError, match=r"staging has more pages"):
        installation(other).segments()
    assert len(other.asked) < len(pages)
