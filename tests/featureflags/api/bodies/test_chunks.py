"""Bodies as each server passes them on: in chunks, without a length, as clients of .NET and Java send them;
and in a `charset` that is none of text."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import RequestFactory
from rest_framework.exceptions import ParseError

from featureflags.api.parsers import prepare_body
from featureflags.models import Segment, SegmentMember
from tests.factories import SegmentFactory, UserFactory, token_for
from tests.services.flag_json import boolean_flag
from tests.services.processes import WebProcess, WebServer, on_this_database, running_server

# How a server passes a body on has nothing to do with the database.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.embedded_stack]

LIMIT = 2_621_440
"""DATA_UPLOAD_MAX_MEMORY_SIZE."""


@pytest.fixture(scope="module", params=["gunicorn", "uvicorn"])
def web(
    request: pytest.FixtureRequest, django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebProcess]:
    """One for all tests: to start it takes longer than they do."""
    flags = tmp_path_factory.mktemp("chunks") / "flags.json"
    flags.write_text(json.dumps({"flags": {"new-checkout": boolean_flag("new-checkout")}}))
    env = {**on_this_database(), "LAUNCHDARKLY_FLAG_FILE": str(flags)}
    kind: WebServer = request.param
    with running_server(env, server=kind, path="/healthz") as server:
        yield server


class Program:
    """Sends bodies as iterators: `http.client` writes them in chunks."""

    def __init__(self, web: WebProcess, token: str) -> None:
        self.web, self.token = web, token

    def send(self, method: str, path: str, *chunks: bytes, kind: str = "application/json") -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.web.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        connection.request(method, path, iter(chunks), headers, encode_chunked=True)
        answer = connection.getresponse()
        body = json.loads(answer.read())
        connection.close()
        return answer.status, body


def test_it_is_a_body_like_any_other(web: WebProcess) -> None:
    SegmentFactory.create(key="beta", name="Beta")
    user = UserFactory.create()
    program = Program(web, token_for(UserFactory.create(superuser=True)))
    status, body = program.send("PATCH", "/api/v1/segments/beta/", b'{"na', b'me": "New"}')
    assert (status, body["name"]) == (200, "New")
    assert Segment.objects.get(key="beta").name == "New"

    listed = f"key,kind\n{user.pk},include\n".encode()
    path = "/api/v1/segments/beta/bulk-members/?change=add&confirm=true"
    assert program.send("POST", path, listed[:9], listed[9:], kind="text/csv")[0] == 200
    assert SegmentMember.objects.get().user_id == user.pk

    asked = json.dumps({"context": {"targetingKey": str(user.pk)}}).encode()
    status, body = program.send("POST", "/ofrep/v1/evaluate/flags/new-checkout", asked)
    assert (status, body["key"]) == (200, "new-checkout")

    # Without an end it is not one, and an object that is cut is malformed.
    status, body = program.send("PATCH", "/api/v1/segments/beta/", b'{"name": "Half')
    assert (status, body["type"]) == (400, "urn:guidon:problem:malformed")
    status, body = program.send("POST", "/api/v1/segments/", b"x", kind="text/plain")
    assert status == 415


def test_what_are_no_chunks_is_no_failure_of_the_service(web: WebProcess) -> None:
    """The server itself may refuse it, before the API sees it."""
    token = token_for(UserFactory.create(superuser=True))
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
    connection.putrequest("POST", "/api/v1/segments/")
    for name, text in (
        ("Authorization", f"Bearer {token}"),
        ("Content-Type", "application/json"),
        ("Transfer-Encoding", "chunked"),
    ):
        connection.putheader(name, text)
    connection.endheaders(b"zz\r\n{}\r\n0\r\n\r\n")
    assert connection.getresponse().status == 400
    connection.close()


def test_no_charset_breaks_an_address(web: WebProcess) -> None:
    """Python has codecs that are none of text, and Django looks a codec up before any view does."""
    SegmentFactory.create(key="beta", name="Beta")
    program = Program(web, token_for(UserFactory.create(superuser=True)))
    for charset in ("rot13", 'zlib; x="a"', '"undefined"', "utf-16", "nonsense", ""):
        kind = f"application/json; CharSet={charset}"
        name = f"Zoë {charset or 1}"
        body = json.dumps({"name": name}, ensure_ascii=False).encode()
        status, found = program.send("PATCH", "/api/v1/segments/beta/", body, kind=kind)
        assert (status, found["name"]) == (200, name)
        status, found = program.send("PATCH", "/api/v1/segments/beta/?colour=1", body, kind=kind)
        assert (status, list(found["errors"])) == (400, ["colour"])


def test_it_has_the_same_limit(web: WebProcess) -> None:
    program = Program(web, token_for(UserFactory.create(superuser=True)))
    chunk = b" " * (LIMIT // 4 + 10)
    status, body = program.send("POST", "/api/v1/segments/", *[chunk] * 4)
    assert (status, body["type"]) == (413, "urn:guidon:problem:too-large")


def test_a_server_that_does_not_say_where_it_ends() -> None:
    request = RequestFactory().post("/", headers={"Transfer-Encoding": "chunked"})
    request.META.pop("CONTENT_LENGTH", None)
    with pytest.raises(ParseError, match="Content-Length"):
        prepare_body(request)
