"""Guessing passwords and tokens: how far it gets, also while the cache is frozen, and what it costs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from unittest import mock

import pytest
from axes.models import AccessAttempt
from django.core.cache import caches
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings
from rest_framework.authtoken.models import Token

from config import token_attempts
from tests.factories import UserFactory
from users.models import User

pytestmark = pytest.mark.django_db

PASSWORD = "a-right-password"
LIMIT = 10


@pytest.fixture
def admin() -> User:
    return UserFactory.create(superuser=True, email="root@agpt.co", password=PASSWORD)


@pytest.fixture
def throttled(settings: Settings) -> None:
    settings.AXES_ENABLED = True
    settings.AXES_FAILURE_LIMIT = LIMIT


def log_in(client: Client, password: str, *, name: str = "root@agpt.co", **extra: str) -> int:
    data = {"username": name, "password": password}
    return client.post("/admin/login/", data, **extra).status_code  # type: ignore[arg-type]


@pytest.mark.usefixtures("throttled", "admin")
class TestLogins:
    def test_forty_wrong_passwords_for_a_superuser(self, client: Client) -> None:
        statuses = [log_in(client, f"wrong-{n}") for n in range(40)]
        assert statuses == [200] * (LIMIT - 1) + [429] * (40 - LIMIT + 1)
        response = client.post("/login/", {"username": "root@agpt.co", "password": PASSWORD})
        assert response.status_code == 429, "the right one comes too late, at every form"
        assert response.headers["Retry-After"] == str(15 * 60)
        assert (
            "This account is locked for your address for 15 minutes." in response.content.decode()
        )
        assert "_auth_user_id" not in client.session

    def test_another_spelling_or_browser_is_the_same_account(self, client: Client) -> None:
        spellings = ["ROOT@agpt.co", " root@AGPT.co", "Root@Agpt.Co"]
        statuses = [
            log_in(client, "wrong", name=spellings[n % 3], HTTP_USER_AGENT=f"browser {n}")
            for n in range(LIMIT)
        ]
        assert statuses[-1] == 429

    def test_the_owner_still_logs_in_from_another_address(self, client: Client) -> None:
        for n in range(LIMIT):
            log_in(client, f"wrong-{n}", REMOTE_ADDR="203.0.113.9")
        assert log_in(client, PASSWORD, REMOTE_ADDR="203.0.113.9") == 429
        assert log_in(client, PASSWORD, REMOTE_ADDR="198.51.100.7") == 302

    def test_an_address_that_the_client_claims_is_not_believed(
        self, client: Client, settings: Settings
    ) -> None:
        for n in range(LIMIT):
            log_in(client, "wrong", HTTP_X_FORWARDED_FOR=f"198.51.100.{n}")
        assert log_in(client, PASSWORD, HTTP_X_FORWARDED_FOR="198.51.100.99") == 429
        settings.TRUSTED_PROXIES = 1
        assert log_in(client, PASSWORD, HTTP_X_FORWARDED_FOR="1.1.1.1, 198.51.100.99") == 302

    def test_a_right_password_forgets_the_wrong_ones(self, client: Client) -> None:
        for _ in range(2):
            for n in range(LIMIT - 1):
                log_in(client, f"wrong-{n}")
            assert log_in(client, PASSWORD) == 302
            client.post("/logout/")
        assert not AccessAttempt.objects.exists()

    def test_without_any_cache(self, client: Client) -> None:
        broken = mock.Mock(side_effect=ConnectionError)
        with mock.patch.multiple(
            type(caches["default"]), get=broken, set=broken, incr=broken, get_many=broken
        ):
            statuses = [log_in(client, f"wrong-{n}") for n in range(LIMIT)]
        assert statuses[-1] == 429

    def test_no_line_of_the_log_and_no_row_has_the_password_or_names_the_account_in_the_log(
        self, client: Client, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.DEBUG):
            for _ in range(LIMIT + 1):
                log_in(client, "wrong-secret")
            log_in(client, PASSWORD, REMOTE_ADDR="198.51.100.7")
        assert "a client at 127.0.0.1" in caplog.text
        assert "root@agpt.co" not in caplog.text
        assert "secret" not in caplog.text
        stored = str(list(AccessAttempt.objects.values()))
        assert "secret" not in stored

    def test_a_page_of_somebody_who_is_logged_in_asks_no_more(
        self, client: Client, admin: User
    ) -> None:
        client.force_login(admin)
        client.get("/api/v1/flags/")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert client.get("/api/v1/flags/").status_code == 200
        assert not [query for query in queries if "axes" in query["sql"]]


FLAGS = "/api/v1/flags/"


@pytest.fixture
def few(settings: Settings) -> Iterator[Client]:
    settings.TOKEN_FAILURES = 5
    with mock.patch.object(token_attempts, "SECONDS", 60.0):
        yield Client()


def ask(client: Client, token: str, address: str = "203.0.113.9", **extra: str) -> int:
    headers = {"Authorization": f"Token {token}"}
    return client.get(FLAGS, headers=headers, REMOTE_ADDR=address, **extra).status_code  # type: ignore[arg-type]


class TestTokens:
    def test_guessing_ends_with_429_and_without_a_query(self, few: Client) -> None:
        assert [ask(few, f"guess-{n}") for n in range(7)] == [401] * 5 + [429] * 2
        with CaptureQueriesContext(connection) as queries:
            response = few.get(
                FLAGS, headers={"Authorization": "Token x"}, REMOTE_ADDR="203.0.113.9"
            )
        assert len(queries) == 0
        assert 1 <= int(response.headers["Retry-After"]) <= 61
        assert "Too many wrong tokens" in response.json()["detail"]

    def test_another_address_and_a_caller_without_a_token_are_not_meant(self, few: Client) -> None:
        for n in range(6):
            ask(few, f"guess-{n}")
        assert ask(few, "guess", "198.51.100.7") == 401
        assert few.get("/healthz", REMOTE_ADDR="203.0.113.9").status_code == 200
        assert few.get("/", REMOTE_ADDR="203.0.113.9").status_code == 200

    def test_a_token_that_worked_is_let_through(self, few: Client) -> None:
        good = Token.objects.create(user=UserFactory.create())
        late = Token.objects.create(user=UserFactory.create())
        assert ask(few, good.key) == 200
        for n in range(6):
            ask(few, f"guess-{n}")
        assert ask(few, good.key) == 200
        assert ask(few, late.key) == 429, "it was never seen to work"
        key = good.key
        good.delete()
        assert ask(few, key) == 401
        assert ask(few, key) == 429, "it works no more"

    def test_a_page_that_asks_for_no_token_lets_none_through(self, few: Client) -> None:
        for n in range(6):
            ask(few, f"guess-{n}")
        headers = {"Authorization": "Token next"}
        for page in ("/healthz", "/", "/nowhere/"):
            few.get(page, headers=headers, REMOTE_ADDR="198.51.100.7")
        assert ask(few, "next") == 429

    def test_an_address_may_try_again_after_a_minute(self, few: Client) -> None:
        for n in range(6):
            ask(few, f"guess-{n}")
        with mock.patch.object(token_attempts, "SECONDS", 0.0):
            assert ask(few, "guess") == 401

    def test_a_network_of_ipv6_is_one_client(self, few: Client) -> None:
        statuses = [ask(few, f"g{n}", f"2001:db8::{n + 1}") for n in range(6)]
        assert statuses[-1] == 429
        assert ask(few, "guess", "2001:db8:1::1") == 401

    def test_the_memory_is_bounded(self, settings: Settings) -> None:
        settings.TOKEN_FAILURES = 1
        attempts = token_attempts.Attempts()
        with mock.patch.object(token_attempts, "MOST", 3):
            for n in range(10):
                request = HttpRequest()
                attempts.note(f"address {n}", f"token {n}", request, HttpResponse(status=401))
                request.auth = "token"  # type: ignore[attr-defined]  # as REST framework sets it
                attempts.note(f"address {n}", f"good {n}", request, HttpResponse())
        assert [attempts.wait(f"address {n}", "x") > 0 for n in range(10)] == [False] * 7 + [
            True
        ] * 3
        assert attempts.wait("address 9", "good 9") == 0
