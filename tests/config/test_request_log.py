"""Lines of the log: whose they are, as JSON, and without anything private."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import logging
import logging.config
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.db import DataError, IntegrityError, transaction
from django.db import connection as database
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path

from config import request_log
from config.server_log import RequestLine
from config.settings.logs import logging as logging_settings
from tests.factories import UserFactory, token_for
from tests.services.guarded import free_port
from tests.services.processes import GuidonProcess, python
from tests.services.waiting import wait_until
from users.models import User

logger = logging.getLogger("featureflags.test")
Lines = Callable[[], list[dict[str, Any]]]


def writing(request: HttpRequest) -> HttpResponse:
    assert request.user is not None
    bool(request.user.is_authenticated)
    logger.warning("ada@agpt.co wrote %s", request.GET.get("q", "nothing"))
    return HttpResponse()


def silent_about_users(request: HttpRequest) -> HttpResponse:
    logger.warning("no user was asked for")
    return HttpResponse()


urlpatterns = [path("writing/", writing), path("silent/", silent_about_users)]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """What the settings of production write."""
    monkeypatch.setenv("LOG_FORMAT", "json")
    stream = io.StringIO()
    given = logging_settings(has_broker=True)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(request_log.formatter(given["formatters"]["line"]["form"]))
    root = logging.getLogger()
    root.addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)


def ours(lines: Lines) -> list[dict[str, Any]]:
    return [line for line in lines() if line["logger"] == logger.name]


@pytest.mark.django_db
@pytest.mark.urls(__name__)
class TestRequests:
    def test_a_line_names_its_request_and_user_and_no_address(
        self, client: Client, lines: Lines
    ) -> None:
        user = UserFactory.create()
        client.force_login(user)
        token = token_for()
        response = client.get(
            f"/writing/?q=bob@x.org,{token},sdk-12345678-1234-1234-1234-123456789012"
        )
        [line] = ours(lines)
        assert line["event"] == "[e-mail] wrote [e-mail],[token],[token]"
        assert line["request_id"] == response["X-Request-ID"]
        assert len(line["request_id"]) == 32
        assert line["user_key"] == str(user.pk)
        assert (line["level"], line["timestamp"][-1]) == ("warning", "Z")

    def test_no_server_is_asked_for_the_user(
        self, client: Client, lines: Lines, django_assert_num_queries: Any
    ) -> None:
        client.force_login(UserFactory.create())
        client.get("/silent/")
        assert "user_key" not in ours(lines)[0]

    @pytest.mark.parametrize(
        ("given", "is_taken"),
        [("abc-123-DEF_4.5", True), ("short", False), ("x" * 65, False), ('evil"\n{}' * 2, False)],
    )
    def test_the_id_of_a_proxy(
        self, client: Client, lines: Lines, given: str, is_taken: bool
    ) -> None:
        response = client.get("/writing/", headers={"X-Request-ID": given})
        assert (response["X-Request-ID"] == given) is is_taken
        assert ours(lines)[0]["request_id"] == response["X-Request-ID"]

    async def test_interleaved_requests_keep_their_ids(self, lines: Lines) -> None:
        await asyncio.gather(
            *(
                AsyncClient().get(
                    "/writing/", {"q": f"number-{n}"}, headers={"x-request-id": f"id-number-{n}"}
                )
                for n in range(5)
            )
        )
        found = {line["event"].split()[-1]: line["request_id"] for line in ours(lines)}
        assert found == {f"number-{n}": f"id-number-{n}" for n in range(5)}


def test_a_task_names_itself_and_outside_there_is_no_name(lines: Lines) -> None:
    logger.warning("before")
    reset = request_log._work.set(None)
    request_log.begin_task("task-1")
    logger.warning("within")
    request_log._work.reset(reset)
    before, within = ours(lines)
    assert "task_id" not in before
    assert within["task_id"] == "task-1"
    assert "request_id" not in within


def test_a_traceback_is_one_line_and_has_no_address(lines: Lines) -> None:
    try:
        int("ada@agpt.co")
    except ValueError:
        logger.exception("failed")
    [line] = ours(lines)
    assert "Traceback" in line["exception"]
    assert "[e-mail]" in line["exception"]
    assert "ada@agpt.co" not in json.dumps(line)


def test_development_has_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOG_FORMAT", raising=False)
    made = request_log.formatter(logging_settings(has_broker=True)["formatters"]["line"]["form"])
    record = logging.LogRecord("a.name", logging.INFO, "", 1, "hello %s", ("you",), None)
    assert "hello you" in made.format(record)
    assert "[a.name]" in made.format(record)


@pytest.mark.parametrize(
    "text",
    [
        "o'brien@x.org",
        '"ada lovelace"@x.org',
        "/accounts/ada%40x.org/",
        "ada@[192.0.2.1]",
        "zoë@müller.example",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ],
)
def test_other_forms_of_addresses_and_secrets(text: str) -> None:
    shown = request_log.without_private(f"not found: {text}")
    assert not any(part in shown for part in ("brien", "ada", "zoë", "MfKQ"))
    assert shown.startswith("not found: ")


@pytest.mark.parametrize(
    "address",
    [
        "redis://:{}@cache:6379/0",
        "postgres://guidon:{}@db.example.com:5432/guidon",
        "amqp://guidon:{}@[::1]//",
        "unix://guidon:{}@/run/redis.sock",
    ],
)
@pytest.mark.parametrize("password", ["correct-horse", "p@ss/w#rd?of:mine"])
def test_the_address_of_a_server_has_no_password(address: str, password: str) -> None:
    shown = request_log.without_private(f"cannot reach {address.format(password)} (refused)")
    assert shown == f"cannot reach {address.format('[password]')} (refused)"


@pytest.mark.production_stack
@pytest.mark.django_db
def test_an_error_of_postgresql_quotes_nobody(lines: Lines) -> None:
    """A row that breaks a constraint is quoted whole: name, metadata, everything."""
    user = UserFactory.create(name="Ada Lovelace", metadata={"phone": "+44 20\nDETAIL: 7946"})
    try:
        with transaction.atomic():
            User.objects.filter(pk=user.pk).update(role=None)
    except IntegrityError:
        logger.exception("failed")
    try:
        with transaction.atomic(), database.cursor() as cursor:
            cursor.execute("SELECT %s::uuid", [user.name])
    except DataError:
        logger.exception("failed again")
    text = json.dumps(ours(lines))
    assert "IntegrityError" in text
    assert "[values]" in text
    for private in ("Lovelace", "7946", "+44"):
        assert private not in text


class TestServerLog:
    """What gunicorn and uvicorn write of a request."""

    def line(self, *args: Any) -> dict[str, Any]:
        record = logging.LogRecord("gunicorn.access", logging.INFO, "", 1, "%s", args, None)
        found: dict[str, Any] = json.loads(RequestLine().format(record))
        return found

    def test_gunicorn(self) -> None:
        path = '/x/ada@agpt.co/zoë\\"\n'.encode().decode("latin-1")
        atoms = {"m": "GET", "U": path, "s": "404", "L": "0.012000", "{x-request-id}o": "ab"}
        escaped = import_module("gunicorn.glogging").SafeAtoms(atoms)
        assert self.line(escaped) == {
            "event": "request",
            "method": "GET",
            "path": '/x/[e-mail]/zoë\\"\n',
            "status": 404,
            "seconds": 0.012,
            "request_id": "ab",
        }

    def test_uvicorn(self) -> None:
        path = "/guidon/events/ada%40agpt.co?ticket=secret"
        line = self.line("192.0.2.1:5000", "GET", path, "1.1", 200)
        assert line["path"] == "/guidon/events/[e-mail]"
        assert "secret" not in str(line)
        assert "192.0.2.1" not in str(line)


@pytest.mark.parametrize(
    "application",
    [
        ("config.wsgi:application",),
        ("--worker-class=uvicorn_worker.UvicornWorker", "config.asgi:application"),
    ],
)
def test_the_servers_write_no_address_and_no_query(
    application: tuple[str, ...], tmp_path: Path
) -> None:
    port = free_port()
    env = {
        "DJANGO_SETTINGS_MODULE": "config.settings.development",
        "GUIDON_VAR_DIR": str(tmp_path),
        "GUIDON_IGNORE_DOTENV": "1",
        "WEB_CONCURRENCY": "1",
    }
    options = ("--config=config/gunicorn.py", f"--bind=127.0.0.1:{port}")
    command = python("-m", "gunicorn", *options, *application)
    with GuidonProcess(command, env, ready="Booting worker") as web:
        wait_until(lambda: status_of(port, "/healthz") == 200, what="the server")
        query = "?q=bob@agpt.co&ticket=hidden-ticket"
        assert status_of(port, f"/nothing/ada@agpt.co/{query}") == 404
        wait_until(lambda: '"path": "/nothing/' in web.log(), what="the line of the request")
        log = web.log()
    for private in ("ada@agpt.co", "bob@agpt.co", "hidden-ticket"):
        assert private not in log
    (line,) = [each for each in log.splitlines() if '"path": "/nothing/' in each]
    assert json.loads(line)["status"] == 404


def status_of(port: int, path: str) -> int:
    """0: there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
