"""While the database is away: a page in words with status 503, and a log that fills no disk."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError, connection
from django.test import Client
from django.test.client import MULTIPART_CONTENT
from django.urls import reverse

from config.logs import OncePerMinute
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@contextmanager
def database_away() -> Iterator[None]:
    def fail(*_args: Any) -> None:
        raise OperationalError("password=secret")

    with connection.execute_wrapper(fail):
        yield


@pytest.fixture
def staff() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(UserFactory.create(is_staff=True, is_superuser=True))
    return client


@pytest.mark.parametrize(
    "path", ["/admin/", "/admin/featureflags/segment/", "/admin/users/user/", "/login/"]
)
def test_a_page_explains_it_in_words(staff: Client, path: str) -> None:
    with database_away():
        answer = staff.get(path)
    if path == "/login/":
        assert answer.status_code == 200, "it asks for nothing"
        return
    text = answer.content.decode()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "The database does not answer" in text
    assert "secret" not in text
    assert staff.get(path).status_code == 200, "and it is back"


def test_the_admins_texts_for_scripts_come_without_the_database(staff: Client) -> None:
    address = reverse("admin:jsi18n")
    with database_away():
        answers = [staff.get(address), Client().get(address)]
    for answer in answers:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/javascript")
        assert "gettext" in answer.content.decode()


def test_what_is_sent_gets_the_same_page(staff: Client) -> None:
    with database_away():
        answer = staff.post("/login/", {"username": "a@example.com", "password": "x"})
    assert answer.status_code == 503


@pytest.mark.production_stack
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["page", "api"])
def test_a_database_that_takes_no_writes(way: str) -> None:
    """The primary of before a failover, or a disk that is full: pages are shown, and nothing is saved."""
    group = Group.objects.create(name="before")
    staff = Client(raise_request_exception=False)
    staff.force_login(UserFactory.create(is_staff=True, is_superuser=True))
    path = {"page": f"/admin/auth/group/{group.pk}/change/", "api": "/api/v1/segments/"}[way]
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        assert staff.get(path).status_code == 200
        rules = [{"clauses": [{"attribute": "role", "op": "in", "values": ["admin"]}]}]
        sent = {"name": "after", "key": "after", "rules": rules}
        kind = {"page": MULTIPART_CONTENT, "api": "application/json"}[way]
        answer = staff.post(path, sent, content_type=kind)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET default_transaction_read_only")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "takes no writes" in answer.content.decode()


def test_another_failure_is_still_a_500(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> None:
        raise ValueError

    monkeypatch.setattr("django.contrib.admin.sites.AdminSite.each_context", fail)
    assert staff.get("/admin/").status_code == 500


def passed(*records: logging.LogRecord) -> list[bool]:
    quiet = OncePerMinute()
    return [bool(quiet.filter(record)) for record in records]


def record(name: str, message: str, *args: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.ERROR, "", 0, message, args, None)
    made.__dict__.update(extra)
    return made


def test_one_line_a_minute_for_requests_that_got_a_503() -> None:
    lines = [record("django.request", "%s: %s", "Service", f"/{n}", status_code=503) for n in "abc"]
    assert passed(*lines) == [True, False, False]


def test_every_other_failure_of_a_request_has_its_line() -> None:
    lines = [record("django.request", "%s: %s", "Error", f"/{n}", status_code=500) for n in "abc"]
    assert passed(*lines) == [True, True, True]


def test_each_kind_of_line_of_the_other_loggers() -> None:
    lines = [record("users.middleware", text) for text in ("one", "two", "one")]
    assert passed(*lines) == [True, True, False]
