"""`/healthz`, `/readyz` and `/metrics`: what works, what does not, and who may know."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from pytest_django.fixtures import Settings

from featureflags.api import health
from featureflags.cache.compiled_rules import current_ruleset
from featureflags.core import monitoring
from featureflags.launchdarkly.client import current_clients
from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.services.flag_json import boolean_flag, malformed_flag
from tests.services.launchdarkly import LaunchDarklyServer
from tests.services.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

logger = logging.getLogger(__name__)

VALID = 'guidon_launchdarkly_state{source="file",state="valid"} 1.0'


def use(settings: Settings, **given: Any) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **given}


@pytest.fixture
def connected(settings: Settings) -> Iterator[LaunchDarklyServer]:
    with LaunchDarklyServer(boolean_flag("beta")) as server:
        addresses = dict.fromkeys(("BASE_URI", "STREAM_URI", "EVENTS_URI"), server.url)
        use(settings, SDK_KEY=server.sdk_key, **addresses)
        yield server


class TestHealth:
    def test_it_asks_no_server(self, client: Client, settings: Settings) -> None:
        def fail(*_args: Any) -> None:
            raise AssertionError("the database was asked")

        use(settings, CACHE="there is no such cache", SDK_KEY="sdk-nobody", SOURCE="streaming")
        with connection.execute_wrapper(fail):
            answer = client.get("/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert current_clients(start=False) is None, "LaunchDarkly was asked"

    @pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
    def test_any_host_header_is_answered_without_a_redirect(
        self, client: Client, flag_file: FlagFile, settings: Settings, path: str
    ) -> None:
        settings.ALLOWED_HOSTS = ["flags.example.com"]
        settings.SECURE_SSL_REDIRECT = True
        use(settings, METRICS_TOKEN="right")
        headers = {"Host": "10.1.2.3:8000", "Authorization": "Bearer right"}
        assert client.get(path, headers=headers).status_code == 200
        assert client.get("/", headers={"Host": "10.1.2.3"}).status_code in {301, 400}


class TestReady:
    def test_all_is_well(self, client: Client, flag_file: FlagFile) -> None:
        flag_file(boolean_flag("beta"))
        answer = client.get("/readyz")
        body = answer.json()
        assert (answer.status_code, body["status"]) == (200, "ok")
        assert body["database"] == body["cache"] == {"ok": True, "problem": None}
        shown = body["launchdarkly"]
        assert (shown["ok"], shown["source"], shown["state"]) == (True, "file", "valid")
        assert shown["flags"] == 1
        assert "no-store" in answer.headers["Cache-Control"]

    def test_without_the_database_it_fails_until_it_has_read_the_segments(
        self, client: Client, flag_file: FlagFile
    ) -> None:
        def fail(*_args: Any) -> None:
            raise OperationalError("password=secret")

        with connection.execute_wrapper(fail):
            answer = client.get("/readyz")
        current_ruleset()
        with connection.execute_wrapper(fail):
            later = client.get("/readyz")
        assert (later.status_code, later.json()["status"]) == (200, "degraded")
        assert (answer.status_code, answer.json()["status"]) == (503, "failing")
        assert answer.json()["database"] == {"ok": False, "problem": "OperationalError"}
        assert b"secret" not in answer.content

    def test_without_the_cache_it_is_degraded(
        self, client: Client, flag_file: FlagFile, settings: Settings
    ) -> None:
        # A folder that is a file: what a broken disk or a wrong path is.
        broken = {
            "BACKEND": "featureflags.cache.backends.file.SharedFileCache",
            "LOCATION": str(Path(__file__) / "cache"),
        }
        settings.CACHES = {**settings.CACHES, "broken": broken}
        use(settings, CACHE="broken")
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert answer.json()["cache"]["ok"] is False

    def test_launchdarkly_that_went_away_is_survived(
        self, client: Client, connected: LaunchDarklyServer
    ) -> None:
        assert client.get("/readyz").json()["status"] == "ok"
        connected.stop()
        wait_until(lambda: client.get("/readyz").json()["status"] == "degraded", what="it")
        answer = client.get("/readyz")
        assert answer.status_code == 200
        assert answer.json()["launchdarkly"]["state"] == "interrupted"

    def test_launchdarkly_that_was_never_there_is_not(
        self, client: Client, connected: LaunchDarklyServer, settings: Settings
    ) -> None:
        use(settings, SDK_KEY="sdk-wrong", SEND_EVENTS=False, START_WAIT=0.5)
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "failing")
        assert b"sdk-wrong" not in answer.content
        assert connected.url.encode() not in answer.content

    def test_flags_are_not_named(self, client: Client, flag_file: FlagFile) -> None:
        flag_file(boolean_flag("beta"), malformed_flag("secret-launch"))
        answer = client.get("/readyz")
        assert answer.json()["launchdarkly"]["malformed"] == 1
        assert b"secret-launch" not in answer.content

    def test_offline_was_chosen(self, client: Client, settings: Settings) -> None:
        use(settings, SOURCE="offline")
        assert client.get("/readyz").json()["status"] == "ok"

    def test_it_only_shows(self, client: Client) -> None:
        assert client.post("/readyz").status_code == 405


class TestMetrics:
    def test_staff_alone(self, client: Client, flag_file: FlagFile) -> None:
        assert client.get("/metrics").status_code == 403
        client.force_login(UserFactory.create())
        assert client.get("/metrics").status_code == 403
        client.force_login(UserFactory.create(is_staff=True))
        assert client.get("/metrics").status_code == 200

    def test_a_token(self, client: Client, flag_file: FlagFile, settings: Settings) -> None:
        def asked_with(token: str) -> int:
            status: int = client.get("/metrics", headers={"Authorization": token}).status_code
            return status

        assert asked_with("Bearer ") == 403, "no token is set"
        use(settings, METRICS_TOKEN="right")
        assert asked_with("Bearer right") == 200
        for wrong in ("Bearer wrong", "Bearer ", "right", "Basic right", "Bearer rïght"):
            assert asked_with(wrong) == 403

    def test_without_the_package(
        self, client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use(settings, METRICS_TOKEN="right")
        monkeypatch.setattr(health, "HAS_METRICS", False)
        answer = client.get("/metrics", headers={"Authorization": "Bearer right"})
        assert answer.status_code == 501
        assert 'pip install "guidon[metrics]"' in answer.content.decode()

    def test_what_the_body_contains(
        self, client: Client, flag_file: FlagFile, settings: Settings
    ) -> None:
        use(settings, METRICS_TOKEN="right")
        flag_file(boolean_flag("beta"))
        client.get("/readyz")
        monitoring.report(logger, 'odd"name\\', "A test.")
        monitoring.report(logger, 'odd"name\\', "A test.")
        answer = client.get("/metrics", headers={"Authorization": "Bearer right"})
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        lines = answer.content.decode().splitlines()
        assert 'guidon_events_total{name="odd\\"name\\\\"} 2.0' in lines
        assert VALID in lines
        assert "guidon_launchdarkly_flags 1.0" in lines
        assert any(line.startswith("guidon_launchdarkly_change_age_seconds ") for line in lines)
        for line in lines:
            assert line.startswith("# ") or len(line.rsplit(" ", 1)) == 2

    def test_the_last_error_of_the_source(
        self, client: Client, connected: LaunchDarklyServer, settings: Settings
    ) -> None:
        wrong = {"SDK_KEY": "sdk-wrong", "SEND_EVENTS": False, "START_WAIT": 0.5}
        use(settings, METRICS_TOKEN="right", **wrong)
        client.get("/readyz")
        line = 'guidon_launchdarkly_error{http_status="401",kind="error_response"} 1.0'

        def metrics() -> list[str]:
            answer = client.get("/metrics", headers={"Authorization": "Bearer right"})
            return answer.content.decode().splitlines()

        wait_until(lambda: line in metrics(), what="the answer of LaunchDarkly")
        assert "sdk-wrong" not in "".join(metrics())

    def test_without_the_database_a_token_is_enough(
        self, client: Client, flag_file: FlagFile, settings: Settings
    ) -> None:
        def fail(*_args: Any) -> None:
            raise OperationalError

        use(settings, METRICS_TOKEN="right")
        client.force_login(UserFactory.create(is_staff=True))
        with connection.execute_wrapper(fail):
            allowed = client.get("/metrics", headers={"Authorization": "Bearer right"})
            refused = client.get("/metrics")
        assert (allowed.status_code, refused.status_code) == (200, 403)
