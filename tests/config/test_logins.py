"""Guessing passwords: how far it gets, also without a cache, and what it costs others."""

from __future__ import annotations

import logging
from unittest import mock

import pytest
from axes.models import AccessAttempt
from django.core.cache import caches
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

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
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "TRUSTED_PROXIES": 1}
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
