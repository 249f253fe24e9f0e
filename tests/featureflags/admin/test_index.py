"""The admin's index says how flags arrive, and leads testers to their page."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from featureflags.core.conf import app_settings
from featureflags.launchdarkly.client import current_clients
from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.services.launchdarkly import LaunchDarklyServer, boolean_flag
from tests.services.waiting import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.django_db

INDEX = "/admin/"
ARRIVES = PATIENCE_SECONDS


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(UserFactory.create(is_staff=True))
    return client


def panel(client: Client) -> str:
    response = client.get(INDEX)
    assert response.status_code == 200
    text = response.content.decode()
    _, found, rest = text.partition('id="launchdarkly-connection"')
    assert found
    return rest.partition("</div>")[0]


class TestConnection:
    def test_it_is_valid(self, staff: Client, flag_file: FlagFile) -> None:
        flag_file(boolean_flag("one"), boolean_flag("two"))
        shown = panel(staff)
        assert "Flags arrive." in shown
        assert "Source: file." in shown
        assert "2 flags" in shown
        assert "Flags last changed" in shown
        assert "Last error" not in shown

    def test_it_went_away(self, staff: Client, settings: Settings) -> None:
        with LaunchDarklyServer(boolean_flag("one")) as server:
            settings.FEATUREFLAGS = {
                **settings.FEATUREFLAGS,
                "SDK_KEY": server.sdk_key,
                "BASE_URI": server.url,
                "STREAM_URI": server.url,
                "EVENTS_URI": server.url,
            }
            assert "Flags arrive." in panel(staff)
            server.stop()
            wait_until(
                lambda: "the last values are served" in panel(staff),
                timeout=ARRIVES,
                what="the outage",
            )
            shown = panel(staff)
            assert "Since" in shown
            assert "Last error: " in shown
            assert "1 flag<" in shown

    def test_a_refused_key_is_named_and_not_shown(self, staff: Client, settings: Settings) -> None:
        with LaunchDarklyServer() as server:
            settings.FEATUREFLAGS = {
                **settings.FEATUREFLAGS,
                "SDK_KEY": "sdk-wrong",
                "BASE_URI": server.url,
                "STREAM_URI": server.url,
                "EVENTS_URI": server.url,
                "START_WAIT": 0.1,
                "SEND_EVENTS": False,
            }
            panel(staff)
            wait_until(
                lambda: "LaunchDarkly refuses the SDK key." in panel(staff),
                timeout=ARRIVES,
                what="the refusal",
            )
            assert "No answer yet." in panel(staff)
            assert "sdk-wrong" not in staff.get(INDEX).content.decode()

    def test_a_malformed_flag_is_named(self, staff: Client, flag_file: FlagFile) -> None:
        flag_file({"key": "bad", "rules": [{}]})
        assert "Malformed: flags/bad" in panel(staff)

    def test_a_client_that_cannot_be_made_does_not_break_the_page(
        self, staff: Client, settings: Settings
    ) -> None:
        settings.FEATUREFLAGS = {
            **settings.FEATUREFLAGS,
            "SOURCE": "daemon",
            "DAEMON_URL": "nowhere://",
        }
        assert "The client could not be made." in panel(staff)
        assert current_clients(start=False) is None

    def test_nobody_else_sees_it(self, client: Client) -> None:
        assert client.get(INDEX).status_code == 302


class TestTesters:
    @pytest.fixture(autouse=True)
    def flags(self, flag_file: FlagFile) -> None:
        flag_file()

    def test_it_leads_to_the_page(self, staff: Client, settings: Settings) -> None:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "TESTERS": True}
        address = reverse("admin:featureflags_testing")
        assert f'href="{address}"' in panel(staff)
        assert staff.get(address).status_code == 200

    def test_without_a_page_there_is_no_link(self, staff: Client) -> None:
        assert app_settings().testers is False
        address = reverse("admin:featureflags_testing")
        assert address not in panel(staff)
        assert staff.get(address).status_code == 404
