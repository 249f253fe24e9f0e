"""flags/ and flags/{key}/: what the caller may see, and which events are sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from featureflags.cache import protocol
from featureflags.evaluation import variation_detail
from featureflags.launchdarkly.client import close
from tests.conftest import FlagFile
from tests.emptying import empty_caches
from tests.factories import UserFactory
from tests.services.flag_json import boolean_flag, prerequisite, segment_rule, string_flag
from tests.services.launchdarkly import SDK_KEY, LaunchDarklyServer
from tests.users.api.conftest import Caller

URL = "/api/v1/flags/"
COOKIE = "guidon_visitor"

pytestmark = pytest.mark.django_db

FLAGS = [
    boolean_flag("new-checkout", rules=[segment_rule("employee")]),
    boolean_flag("internal-tools", rules=[segment_rule("employee")]),
    string_flag("for-browsers", client_side=True),
    boolean_flag("for-servers", fallthrough=True),
]
"""Declared for browsers, declared for servers, marked for browsers in LaunchDarkly, neither."""

BROWSER_KEYS = ["accent-colour", "for-browsers", "new-checkout", "welcome-tour"]
ALL_KEYS = sorted([*BROWSER_KEYS, "for-servers", "internal-tools"])


@pytest.fixture(autouse=True)
def flags(flag_file: FlagFile) -> None:
    flag_file(*FLAGS)


def listed(client: APIClient) -> dict[str, dict[str, Any]]:
    answer = client.get(URL)
    assert answer.status_code == 200, answer.content
    return {item["flag"]: item for item in answer.json()["results"]}


def one(client: APIClient, key: str) -> dict[str, Any]:
    answer = client.get(f"{URL}{key}/")
    assert answer.status_code == 200, answer.content
    body: dict[str, Any] = answer.json()
    return body


def test_a_visitor_sees_the_flags_for_browsers_and_gets_a_cookie() -> None:
    client = APIClient()
    assert list(listed(client)) == BROWSER_KEYS
    cookie = client.cookies[COOKIE].value
    one(client, "new-checkout")
    assert client.cookies[COOKIE].value == cookie
    assert "sessionid" not in client.cookies


@pytest.mark.parametrize("key", ["evaluate", "bootstrap", "explain", "flags", "me"])
def test_no_address_hides_a_flag(
    key: str, flag_file: FlagFile, by_session: Caller, by_key: Caller
) -> None:
    """Whatever a flag is called, it has an address and an explanation of its own."""
    flag_file(boolean_flag(key, fallthrough=True))
    root = UserFactory.create(superuser=True)
    for caller in (by_session(root), by_key(root)):
        shown = one(caller, key)
        assert (shown["flag"], shown["value"]) == (key, True)
        answer = caller.get(f"{URL}{key}/explain/", {"subject": str(root.pk)})
        assert (answer.status_code, answer.json()["answer"]["flag"]) == (200, key)
    assert APIClient().get(f"{URL}{key}/").status_code == 404


def test_the_address_of_evaluate_names_the_methods_of_both() -> None:
    answer = APIClient().put(f"{URL}evaluate/")
    assert {each.strip() for each in answer["Allow"].split(",")} >= {"GET", "POST"}


def test_users_see_the_flags_for_browsers_with_their_own_values(
    by_session: Caller, by_key: Caller
) -> None:
    employee, customer = UserFactory.create(employee=True), UserFactory.create()
    for caller in (by_session, by_key):
        assert list(listed(caller(employee))) == BROWSER_KEYS
        assert listed(caller(employee))["new-checkout"]["value"] is True
        assert one(caller(employee), "new-checkout")["value"] is True
        assert listed(caller(customer))["new-checkout"]["value"] is False
        assert one(caller(customer), "new-checkout")["value"] is False


def test_staff_see_all_flags(by_session: Caller) -> None:
    staff = by_session(UserFactory.create(is_staff=True, employee=True))
    assert list(listed(staff)) == ALL_KEYS
    assert one(staff, "internal-tools")["value"] is True
    assert one(staff, "for-servers")["value"] is True


@pytest.mark.parametrize("key", ["internal-tools", "for-servers", "no-such-flag"])
def test_any_other_flag_is_404_whether_it_exists_or_not(by_session: Caller, key: str) -> None:
    bodies: list[dict[str, Any]] = []
    for client in (APIClient(), by_session(UserFactory.create(employee=True))):
        answer = client.get(f"{URL}{key}/")
        assert answer.status_code == 404
        bodies.append({**answer.json(), "request_id": ""})
    assert bodies[0] == bodies[1]


def test_staff_see_that_a_flag_does_not_exist(by_session: Caller) -> None:
    staff = by_session(UserFactory.create(is_staff=True))
    assert staff.get(f"{URL}no-such-flag/").status_code == 404


def test_a_declared_flag_that_launchdarkly_lacks_answers_its_default() -> None:
    item = one(APIClient(), "accent-colour")
    assert (item["value"], item["degraded"]) == ("slate", ["flag_not_found"])
    assert item["reason"] == {"kind": "ERROR", "errorKind": "FLAG_NOT_FOUND"}


def test_the_fields_of_an_item(by_session: Caller) -> None:
    user = UserFactory.create(employee=True)
    item = one(by_session(user), "new-checkout")
    assert item == {
        "flag": "new-checkout",
        "value": True,
        "variation": 0,
        "reason": {"kind": "RULE_MATCH"},
        "source": "loaded",
        "degraded": [],
    }
    assert listed(by_session(user))["new-checkout"] == item


def test_staff_see_the_whole_reason(by_session: Caller) -> None:
    staff = by_session(UserFactory.create(is_staff=True, employee=True))
    reason = {"kind": "RULE_MATCH", "ruleIndex": 0, "ruleId": "rule-employee"}
    assert one(staff, "new-checkout")["reason"] == reason
    assert listed(staff)["new-checkout"]["reason"] == reason


def test_a_prerequisite_is_not_named_to_others(flag_file: FlagFile) -> None:
    hidden = boolean_flag("secret-project")
    flag_file(boolean_flag("new-checkout", prerequisites=[prerequisite("secret-project")]), hidden)
    client = APIClient()
    assert b"secret-project" not in client.get(URL).content
    assert one(client, "new-checkout")["reason"] == {"kind": "PREREQUISITE_FAILED"}


@pytest.mark.django_db(transaction=True)
def test_who_asks_is_kept_as_stored_for_when_the_database_is_down(by_session: Caller) -> None:
    user = UserFactory.create(employee=True)
    key = str(user.pk)
    client = by_session(user)
    one(client, "new-checkout")
    assert protocol.read([key]).fresh[key].email == user.email
    request = RequestFactory().get("/")
    empty_caches("featureflags")
    user.email = "never-saved@agpt.co"
    request.user = user
    assert variation_detail("new-checkout", request=request).source == "loaded"
    assert protocol.read([key]).fresh[key].email != user.email
    with CaptureQueriesContext(connection) as queries:
        variation_detail("new-checkout", request=request)
    assert [query["sql"] for query in queries if 'FROM "users_user" ' in query["sql"]] == []


def test_a_wrong_key_is_401() -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Bearer nonsense")
    assert client.get(URL).status_code == 401


def test_pages(by_session: Caller) -> None:
    staff = by_session(UserFactory.create(is_staff=True))
    body = staff.get(URL, {"page_size": 2, "page": 2}).json()
    assert body["count"] == len(ALL_KEYS)
    assert [item["flag"] for item in body["results"]] == ALL_KEYS[2:4]


def test_only_reading_is_possible(by_session: Caller) -> None:
    staff = by_session(UserFactory.create(superuser=True))
    assert staff.post(URL, {}).status_code == 405
    assert staff.delete(f"{URL}new-checkout/").status_code == 405


def test_a_flag_added_in_launchdarkly_is_seen_at_once_with_forced_ones(
    by_session: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_FLAG_NEW_CHECKOUT", "true")
    item = one(APIClient(), "new-checkout")
    assert (item["value"], item["reason"]) == (True, {"kind": "FORCED"})


@pytest.fixture
def launchdarkly(settings: Settings) -> Iterator[LaunchDarklyServer]:
    with LaunchDarklyServer(*FLAGS) as server:
        options = {
            **settings.FEATUREFLAGS,
            "SDK_KEY": SDK_KEY,
            "BASE_URI": server.url,
            "STREAM_URI": server.url,
            "EVENTS_URI": server.url,
            "SEND_EVENTS": True,
            "START_WAIT": 10.0,
        }
        with override_settings(FEATUREFLAGS=options):
            yield server
            close()


def test_only_one_flag_by_its_key_is_counted(
    launchdarkly: LaunchDarklyServer, by_session: Caller
) -> None:
    client = by_session(UserFactory.create(is_staff=True))
    key = client.get("/api/v1/users/me/").json()["id"]
    listed(client)
    client.get("/api/v1/users/me/context/")
    close()
    assert launchdarkly.events() == []
    one(client, "new-checkout")
    close()
    summaries = launchdarkly.events("summary")
    assert [list(summary["features"]) for summary in summaries] == [["new-checkout"]]
    assert [event["context"]["key"] for event in launchdarkly.events("index")] == [key]
