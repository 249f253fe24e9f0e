"""The second factor of staff. These tests need its tables, so one test runs the others with it on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import set_script_prefix
from django_otp.oath import TOTP

from config.second_factor import PASSED, devices
from tests.factories import UserFactory, token_for
from tests.services.processes import ROOT
from users.models import User

with_it = pytest.mark.skipif(not settings.STAFF_TOTP, reason="run by the test that switches it on")
without_it = pytest.mark.skipif(settings.STAFF_TOTP, reason="needs it off")


@without_it
def test_with_a_second_factor() -> None:
    """All tests below, in a process that has it."""
    environment = {**os.environ, "STAFF_TOTP": "true"}
    environment.pop("PYTEST_XDIST_WORKER", None)
    environment.pop("GUIDON_TEST_WORKER", None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-o", "addopts=", __file__]
    ended = subprocess.run(
        command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout
    assert " passed" in ended.stdout


@without_it
@pytest.mark.django_db
def test_without_it_nobody_is_asked(client: Client) -> None:
    client.force_login(UserFactory.create(superuser=True))
    assert client.get("/admin/").status_code == 200
    assert client.get("/second-factor/").status_code == 404
    with pytest.raises(CommandError, match="STAFF_TOTP is off"):
        call_command("reset_second_factor", "a@agpt.co")


def code_of(device: Any) -> str:
    """What the app shows now."""
    made = TOTP(device.bin_key, device.step, device.t0, device.digits, device.drift)
    made.time = time.time()
    return f"{made.token():06d}"


def device_of(user: User) -> Any:
    return devices().get(user=user)


@pytest.fixture
def staff() -> User:
    return UserFactory.create(superuser=True)


@pytest.fixture
def browser(staff: User) -> Client:
    """After the password."""
    client = Client()
    client.force_login(staff)
    return client


@with_it
@pytest.mark.django_db
class TestSecondFactor:
    def register(self, browser: Client, staff: User) -> Any:
        page = browser.get("/second-factor/?next=/admin/users/user/")
        device = device_of(staff)
        assert not device.confirmed
        assert "<svg" in page.content.decode()
        response = browser.post(
            "/second-factor/?next=/admin/users/user/", {"code": code_of(device)}
        )
        assert (response.status_code, response["Location"]) == (302, "/admin/users/user/")
        return device_of(staff)

    def test_the_admin_and_the_api_are_shut_until_a_code_was_given(
        self, browser: Client, staff: User
    ) -> None:
        page = browser.get("/admin/users/user/?q=ada")
        assert page.status_code == 302
        assert page["Location"] == "/second-factor/?next=%2Fadmin%2Fusers%2Fuser%2F%3Fq%3Dada"
        assert browser.get("/api/v1/segments/").status_code == 403
        assert browser.post("/api/v1/segments/", {}).status_code == 403
        assert browser.get("/").status_code == 200
        assert browser.get("/api/v1/flags/").status_code == 200
        assert self.register(browser, staff).confirmed
        assert browser.get("/admin/users/user/").status_code == 200
        assert browser.get("/api/v1/segments/").status_code == 200

    def test_under_a_prefix_too(self, browser: Client) -> None:
        """Where the site is mounted below one, no address begins with that of the admin."""
        for path in ("/admin/", "/admin/users/user/", "/admin/password_change/"):
            set_script_prefix("/guidon/")
            try:
                answer = browser.get(path, SCRIPT_NAME="/guidon")
            finally:
                set_script_prefix("/")
            assert answer.status_code == 302, path
            assert answer["Location"].startswith("/guidon/second-factor/"), path

    def test_what_is_about_others_needs_it_and_ones_own_flags_do_not(self, browser: Client) -> None:
        body = {"subjects": ["6d0c3a52-0000-4000-8000-000000000000"], "flags": ["new-checkout"]}
        others = browser.post("/api/v1/flags/evaluate/", body, content_type="application/json")
        assert others.status_code == 403
        assert others["Content-Type"] == "application/problem+json"
        assert others.json()["request_id"] == others["X-Request-ID"]
        assert browser.get("/metrics").status_code == 403
        assert browser.get("/api/v1/flags/").status_code == 200

    def test_the_secret_is_shown_once(self, browser: Client, staff: User) -> None:
        self.register(browser, staff)
        again = Client()
        again.force_login(staff)
        assert "<svg" not in again.get("/second-factor/").content.decode()
        assert again.get("/admin/").status_code == 302, "a new login gives a new code"

    def test_a_wrong_code_and_one_that_was_used(self, browser: Client, staff: User) -> None:
        device = self.register(browser, staff)
        again = Client()
        again.force_login(staff)
        for code in (code_of(device), "000000", "12345", "abcdef", ""):
            page = again.post("/second-factor/", {"code": code})
            assert page.status_code == 200
            assert 'class="errorlist"' in page.content.decode()
        assert again.get("/admin/").status_code == 302
        assert device_of(staff).throttling_failure_count > 0

    def test_another_site_is_not_led_to(self, browser: Client, staff: User) -> None:
        browser.get("/second-factor/")
        response = browser.post(
            "/second-factor/?next=https://evil.example/", {"code": code_of(device_of(staff))}
        )
        assert response["Location"] == "/admin/"

    def test_the_mark_of_another_user_counts_for_nothing(
        self, browser: Client, staff: User
    ) -> None:
        session = browser.session
        session[PASSED] = str(UserFactory.create(superuser=True).pk)
        session.save()
        assert browser.get("/admin/").status_code == 302

    def test_users_and_tokens_need_none(self, client: Client, staff: User) -> None:
        headers = {"Authorization": f"Bearer {token_for(staff)}"}
        assert client.get("/api/v1/segments/", headers=headers).status_code == 200
        client.force_login(UserFactory.create())
        assert client.get("/").status_code == 200
        assert client.get("/second-factor/").status_code == 403

    def test_a_lost_phone(self, browser: Client, staff: User) -> None:
        self.register(browser, staff)
        call_command("reset_second_factor", staff.email)
        again = Client()
        again.force_login(staff)
        assert "<svg" in again.get("/second-factor/").content.decode()
        with pytest.raises(CommandError, match="There is no account"):
            call_command("reset_second_factor", "nobody@agpt.co")
