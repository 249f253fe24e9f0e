"""Answers in lines: sent while they are made, in bounded memory, and never cut short without a word."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from asgiref.sync import async_to_sync
from django.core.asgi import get_asgi_application
from rest_framework.test import APIClient

from featureflags.cache import protocol
from featureflags.evaluation.resolve import contexts_for
from tests.clients.flags import flags
from tests.conftest import FlagFile
from tests.factories import UserFactory, token_for
from tests.featureflags.api.evaluating import LINES, URL, ask, caller, lines_of
from tests.services.flag_json import string_flag
from tests.services.processes import on_this_database, running_server
from tests.services.server_memory import peak_memory

# Here it is tested how the lines leave; what they say is tested on both stacks.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.embedded_stack]

LONG = "x" * 4_000
"""A value: so that an answer is larger than anything on its way may hold."""


@pytest.fixture(autouse=True)
def path(flag_file: FlagFile, transactional_db: None) -> Path:
    return flag_file(*flags(), string_flag("long", [LONG, "y"]))


def strangers(number: int) -> list[str]:
    return [f"6d0c3a52-0000-4000-8000-{each:012d}" for each in range(number)]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each read of the cache has asked for."""
    found: list[int] = []
    read = protocol.read

    def counted(keys: Any) -> Any:
        found.append(len(keys))
        return read(keys)

    monkeypatch.setattr(protocol, "read", counted)
    return found


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second thousand cannot be answered."""

    def fail_later(subjects: Any) -> Any:
        if strangers(1)[0] not in subjects:
            raise RuntimeError("a mistake of ours")
        return contexts_for(subjects)

    monkeypatch.setattr("featureflags.api.evaluate.contexts_for", fail_later)


def test_more_than_a_thousand_come_in_lines_as_they_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ada = UserFactory.create(employee=True)
    strangers = [f"6d0c3a52-0000-4000-8000-{number:012d}" for number in range(2_400)]
    reads: list[int] = []
    read = protocol.read

    def counted(keys: list[str]) -> Any:
        reads.append(len(keys))
        return read(keys)

    monkeypatch.setattr(protocol, "read", counted)
    client = caller(token_for(), **LINES)
    answer = ask(client, *strangers, ada.pk, strangers[0])
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "private, no-store"
    chunks = iter(answer.streaming_content)
    first = next(chunks)
    assert (first.count(b"\n"), reads) == (1000, [1000])
    rest = b"".join(chunks)
    assert reads == [1000, 1000, 401]
    found = [json.loads(line) for line in (first + rest).splitlines()]
    assert [each["key"] for each in found] == [*strangers, str(ada.pk)]
    assert found[-1]["flags"]["new-checkout"]["value"] is True
    assert found[0]["degraded"] == ["no_such_user"]
    # The same users in a document are the same answers.
    few = [strangers[0], str(ada.pk)]
    document = ask(caller(token_for()), *few).json()["results"]
    assert lines_of(ask(client, *few)) == document


def test_without_lines_more_than_a_thousand_are_over_the_limit() -> None:
    strangers = [f"6d0c3a52-0000-4000-8000-{number:012d}" for number in range(1_001)]
    answer = ask(caller(token_for()), *strangers)
    assert answer.status_code == 422
    assert "application/x-ndjson" in answer.json()["errors"]["subjects"][0]


def test_an_error_is_a_problem_also_where_lines_are_wanted() -> None:
    answer = ask(caller(token_for(), **LINES), "ada@example.com")
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:guidon:problem:validation"
    assert ask(APIClient(headers={"accept": "application/x-ndjson"}), "x").status_code == 401


def test_a_failure_in_the_middle_is_the_last_line(failing: None) -> None:
    subjects = strangers(2_400)
    *whole, last = lines_of(ask(caller(token_for(), **LINES), *subjects))
    assert [each["key"] for each in whole] == subjects[:1_000]
    assert (last["type"], last["status"]) == ("urn:guidon:problem:error", 500)
    assert "1,000 of 2,400" in last["detail"]
    assert last["request_id"]
    assert "mistake" not in str(last)


class Asgi:
    """One request to the ASGI application of this process; `bodies` are what it sent, in order."""

    def __init__(self, reads: list[int]) -> None:
        self.reads = reads
        self.reads_at: list[int] = []
        self.bodies: list[bytes] = []
        self.status = 0

    async def ask(self, body: bytes, token: str, *, leaves_after: int | None = None) -> None:
        """`leaves_after`: how many bodies the client waits for before it is gone."""
        application, gone = get_asgi_application(), asyncio.Event()
        given = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if given:
                return given.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
            elif message.get("body"):
                self.bodies.append(message["body"])
                self.reads_at.append(len(self.reads))
                if len(self.bodies) == leaves_after:
                    gone.set()
                    await asyncio.sleep(0.2)

        headers = {
            "authorization": f"Bearer {token}",
            "content-type": "application/json",
            "content-length": str(len(body)),
            "accept": "application/x-ndjson",
            "host": "testserver",
        }
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "path": URL,
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        await application(scope, receive, send)


def body_of(subjects: list[str], flag: str = "new-checkout") -> bytes:
    return json.dumps({"subjects": subjects, "flags": [flag]}).encode()


class TestAsgi:
    def test_each_chunk_is_made_when_the_one_before_is_sent(self, reads: list[int]) -> None:
        client, subjects = Asgi(reads), strangers(3_400)
        async_to_sync(client.ask)(body_of(subjects), token_for())
        assert client.status == 200
        sent = 0
        for body, reads_then in zip(client.bodies, client.reads_at, strict=True):
            assert reads_then == sent // 1_000 + 1, "nothing is made ahead"
            sent += body.count(b"\n")
        lines = [json.loads(line) for line in b"".join(client.bodies).splitlines()]
        assert [each["key"] for each in lines] == subjects

    def test_a_client_that_leaves_ends_the_work(self, reads: list[int]) -> None:
        client = Asgi(reads)
        async_to_sync(client.ask)(body_of(strangers(20_000)), token_for(), leaves_after=2)
        assert len(reads) <= 4, "20 would be all"

    def test_a_failure_in_the_middle_is_the_last_line(
        self, reads: list[int], failing: None
    ) -> None:
        client = Asgi(reads)
        async_to_sync(client.ask)(body_of(strangers(2_400)), token_for())
        *whole, last = b"".join(client.bodies).splitlines()
        assert len(whole) == 1_000
        assert json.loads(last)["status"] == 500


def test_a_server_holds_a_part_of_a_large_answer_for_a_client_that_does_not_read(
    path: Path,
) -> None:
    number = 10_000
    env = {**on_this_database(), "LAUNCHDARKLY_FLAG_FILE": str(path)}
    with running_server(env, server="uvicorn", path="/healthz") as web:
        address, token = urlsplit(web.url), token_for()
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Accept": "application/x-ndjson",
        }

        def begin(subjects: list[str]) -> http.client.HTTPResponse:
            connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
            connection.request("POST", URL, body_of(subjects, "long"), headers)
            return connection.getresponse()

        assert begin(strangers(2_000)).read().count(b"\n") == 2_000
        before = peak_memory(web)
        answer = begin(strangers(number))
        assert LONG in answer.readline().decode()
        time.sleep(2.0)
        rest = answer.read()
        assert rest.count(b"\n") == number - 1
        size, grown = len(rest) / 2**20, (peak_memory(web) - before) / 2**10
        assert size > 38
        assert grown < size / 2, f"{grown:.0f} MiB more for an answer of {size:.0f} MiB"
