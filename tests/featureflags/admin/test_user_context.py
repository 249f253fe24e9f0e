"""The page of a user as LaunchDarkly sees them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.test import Client, override_settings
from django.urls import reverse
from pytest_django.fixtures import Settings

from featureflags.evaluation import is_enabled
from featureflags.launchdarkly.client import close
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.services.flag_json import boolean_flag, segment_rule
from tests.services.launchdarkly import LaunchDarklyServer
from users.models import User

pytestmark = pytest.mark.django_db

FlagFile = Callable[..., Path]


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(UserFactory.create(superuser=True))
    return client


def address(user: User) -> str:
    return reverse("admin:featureflags_usercontext", args=[user.pk])


def ada() -> User:
    return UserFactory.create(email="ada@agpt.co", metadata={"plan": "<pro>"})


def test_the_page_shows_context_segments_and_flags(staff: Client, flag_file: FlagFile) -> None:
    flag_file(boolean_flag("internal-tools", rules=[segment_rule("employee")]), undeclared=7)
    user = ada()
    response = staff.get(address(user))
    context = json.loads(response.context["context_json"])
    assert context["key"] == str(user.pk)
    assert context["custom_plan"] == "<pro>"
    assert context["segments"] == ["employee", "established_user", "user"]
    assert response.context["segments"] == ("employee", "established_user", "user")
    rows = {row.key: row for row in response.context["flags"]}
    assert rows["internal-tools"].value == "true"
    assert rows["internal-tools"].reason == "Rule 1 (rule-employee) matched."
    assert rows["internal-tools"].degraded == ()
    assert rows["undeclared"].description == "Not declared in this project."
    assert rows["welcome-tour"].value == "false"
    assert rows["welcome-tour"].degraded == ("LaunchDarkly has no flag of this key.",)
    page = response.content.decode()
    assert "Rule 1 (rule-employee) matched." in page
    assert "LaunchDarkly has no flag of this key." in page
    assert "The user was loaded already." in page
    assert "&lt;pro&gt;" in page
    assert "<pro>" not in page


def test_the_rule_that_decided_is_told_in_words(staff: Client, flag_file: FlagFile) -> None:
    flag_file(boolean_flag("internal-tools", rules=[segment_rule("employee")]))
    response = staff.get(address(ada()))
    rows = {row.key: row for row in response.context["flags"]}
    assert rows["internal-tools"].rule == 'Rule 1: segments is any of "employee".'
    assert rows["welcome-tour"].rule == ""
    assert "segments is any of &quot;employee&quot;" in response.content.decode()


def test_what_is_withheld_is_named_and_its_value_is_not_shown(
    staff: Client, flag_file: FlagFile
) -> None:
    user = UserFactory.create(metadata={"last_ip": "203.0.113.9"})
    response = staff.get(address(user))
    assert response.context["withheld"] == ("custom_last_ip",)
    page = response.content.decode()
    assert "custom_last_ip" in page
    assert "203.0.113.9" not in page


def test_private_attributes_are_marked(staff: Client, flag_file: FlagFile) -> None:
    rows = staff.get(address(ada())).context["attributes"]
    assert {row.name for row in rows if row.is_private} == {"email", "name"}
    assert {row.name: row.value for row in rows}["role"] == '"user"'


def test_it_follows_a_segment_that_was_edited(staff: Client, flag_file: FlagFile) -> None:
    user = ada()
    assert "payers" not in staff.get(address(user)).context["segments"]
    SegmentFactory.create(key="payers", rules=[rule(clause("custom_plan", "in", "<pro>"))])
    assert "payers" in staff.get(address(user)).context["segments"]


def test_flags_that_were_never_loaded_are_degraded(staff: Client, settings: Settings) -> None:
    with override_settings(FEATUREFLAGS={**settings.FEATUREFLAGS, "FLAG_FILE": "/nowhere.json"}):
        flags = staff.get(address(ada())).context["flags"]
    assert {row.degraded for row in flags} == {("LaunchDarkly has not sent any flags yet.",)}


def test_the_user_s_page_links_to_it(staff: Client, flag_file: FlagFile) -> None:
    user = ada()
    page = staff.get(reverse("admin:users_user_change", args=[user.pk])).content.decode()
    assert f'<a href="{address(user)}">LaunchDarkly context</a>' in page


@pytest.mark.parametrize(("permission", "status"), [("view_user", 200), ("view_segment", 403)])
def test_it_asks_for_the_permission_to_see_users(
    client: Client, flag_file: FlagFile, permission: str, status: int
) -> None:
    user = UserFactory.create(staff=True)
    user.user_permissions.add(Permission.objects.get(codename=permission))
    client.force_login(user)
    assert client.get(address(ada())).status_code == status


def test_strangers_are_sent_to_the_login(client: Client) -> None:
    response = client.get(address(ada()))
    assert response.status_code == 302
    assert "/admin/login/" in response.headers["Location"]


def test_an_unknown_key_is_not_found(staff: Client) -> None:
    unknown = reverse("admin:featureflags_usercontext", args=[uuid.uuid4()])
    assert staff.get(unknown).status_code == 404


def test_looking_sends_no_event(staff: Client, settings: Settings) -> None:
    with LaunchDarklyServer(boolean_flag("beta", fallthrough=True)) as server:
        urls = dict.fromkeys(("BASE_URI", "STREAM_URI", "EVENTS_URI"), server.url)
        real = {"SDK_KEY": server.sdk_key, "SEND_EVENTS": True, "START_WAIT": 10.0, **urls}
        with override_settings(FEATUREFLAGS={**settings.FEATUREFLAGS, **real}):
            user = ada()
            flags = {row.key: row for row in staff.get(address(user)).context["flags"]}
            assert (flags["beta"].value, flags["beta"].degraded) == ("true", ())
            # A real evaluation, so that the events of this client are seen to arrive.
            assert is_enabled("beta", anonymous_key="somebody")
            close()
            keys = {event["context"]["key"] for event in server.events("index")}
            assert keys == {"somebody"}


def test_the_page_holds_no_inline_style(staff: Client, flag_file: FlagFile) -> None:
    page = staff.get(address(ada())).content.decode()
    assert " style=" not in page
    assert "<style" not in page
    assert "featureflags/admin.css" in page
