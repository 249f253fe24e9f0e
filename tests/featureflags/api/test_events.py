"""Custom events and exposures: they reach LaunchDarkly once, or are refused as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client
from pytest_django.fixtures import Settings

from featureflags.api import throttling
from featureflags.cache.counters import flag_usage
from featureflags.evaluation import variation_detail
from featureflags.evaluation.resolve import resolve
from featureflags.launchdarkly.client import close
from tests.factories import UserFactory, token_for
from tests.featureflags.api.checked import every_answer_is_documented as checked
from tests.featureflags.api.using import use
from tests.services.flag_json import boolean_flag
from tests.services.launchdarkly import LaunchDarklyServer
from users.models import User

pytestmark = pytest.mark.django_db

every_answer_is_documented = checked

TRACK, EXPOSURE = "/api/v1/events/track/", "/api/v1/events/exposure/"
BOUGHT = {"id": "aaaa-0001", "event": "bought", "value": 12.5, "data": {"basket": 3}}
SHOWN = {"id": "bbbb-0001", "flag": "new-checkout"}


@pytest.fixture
def vendor(settings: Settings) -> Iterator[LaunchDarklyServer]:
    cache.clear()
    flags = ({**boolean_flag("new-checkout"), "clientSide": True}, boolean_flag("for-servers"))
    with LaunchDarklyServer(*flags) as server:
        urls = dict.fromkeys(("BASE_URI", "STREAM_URI", "EVENTS_URI"), server.url)
        use(settings, SDK_KEY=server.sdk_key, SEND_EVENTS=True, START_WAIT=10.0, **urls)
        yield server


@pytest.fixture
def ada(client: Client) -> User:
    user = UserFactory.create()
    client.force_login(user)
    return user


def send(client: Client, path: str, *events: Any, token: str = "") -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body = {"events": list(events)}
    return client.post(path, body, content_type="application/json", headers=headers)


def test_a_custom_event_arrives_once(client: Client, ada: User, vendor: LaunchDarklyServer) -> None:
    answer = send(client, TRACK, BOUGHT, {"id": "aaaa-0002", "event": "left"})
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2, "duplicates": 0})
    again = send(client, TRACK, BOUGHT, {"id": "aaaa-0003", "event": "came"})
    assert again.json() == {"accepted": 1, "duplicates": 1}
    close()
    found = {event["key"]: event for event in vendor.events("custom")}
    assert sorted(found) == ["bought", "came", "left"]
    bought = found["bought"]
    assert (bought["metricValue"], bought["data"]) == (12.5, {"basket": 3})
    assert bought["context"]["key"] == str(ada.pk)
    assert ada.email not in str(vendor.events())


def test_an_exposure_counts_as_an_evaluation(
    client: Client, ada: User, vendor: LaunchDarklyServer
) -> None:
    flag_usage.pending.clear()
    both = (SHOWN, {**SHOWN, "id": "bbbb-0002"})
    assert send(client, EXPOSURE, *both).json() == {"accepted": 2, "duplicates": 0}
    assert send(client, EXPOSURE, *both).json() == {"accepted": 0, "duplicates": 2}
    assert flag_usage.pending == {"new-checkout": 2}
    close()
    counters = [
        counter
        for summary in vendor.events("summary")
        for counter in summary["features"]["new-checkout"]["counters"]
    ]
    assert sum(counter["count"] for counter in counters) == 2


def counters_of(vendor: LaunchDarklyServer, flag: str = "new-checkout") -> set[tuple[Any, ...]]:
    """Variation, value, version and count of each counter that LaunchDarkly was sent."""
    return {
        (each.get("variation"), each["value"], each.get("version"), each["count"])
        for summary in vendor.events("summary")
        for each in summary["features"].get(flag, {"counters": []})["counters"]
    }


def test_an_exposure_names_the_variation_that_was_shown(
    client: Client, ada: User, vendor: LaunchDarklyServer
) -> None:
    flag_usage.pending.clear()
    version = vendor.data()["new-checkout"]["version"]
    shown = [{**SHOWN, "id": f"bbbb-{n:04}", "variation": n % 2} for n in range(3)]
    without = [{**SHOWN, "id": "bbbb-0009", "variation": None}]
    assert send(client, EXPOSURE, *shown, *without).json() == {"accepted": 4, "duplicates": 0}
    assert variation_detail("new-checkout", ada).variation == 1, "nothing is changed by it"
    assert flag_usage.pending == {"new-checkout": 5}
    close()
    assert counters_of(vendor) == {(0, True, version, 2), (1, False, version, 3)}


def test_what_was_shown_before_the_flag_changed_counts_for_no_experiment(
    client: Client, ada: User, vendor: LaunchDarklyServer
) -> None:
    tracked = {"clientSide": True, "trackEventsFallthrough": True}
    version = vendor.set_flag({**boolean_flag("new-checkout"), **tracked})
    both = [{**SHOWN, "id": f"bbbb-{n:04}", "variation": n} for n in range(2)]
    assert send(client, EXPOSURE, *both).status_code == 202
    close()
    # An evaluation within an experiment is sent as an event of its own.
    assert [each["variation"] for each in vendor.events("feature")] == [1]
    assert counters_of(vendor) == {(0, True, version, 1), (1, False, version, 1)}


def test_a_program_names_whom_it_speaks_of(client: Client, vendor: LaunchDarklyServer) -> None:
    user, token = UserFactory.create(), token_for()
    about = {**BOUGHT, "subject": str(user.pk)}
    visitor = {**BOUGHT, "id": "aaaa-0002", "subject": "8a2c", "anonymous": True}
    assert send(client, TRACK, about, visitor, token=token).status_code == 202
    hidden = {"id": "bbbb-0009", "flag": "for-servers", "subject": str(user.pk)}
    assert send(client, EXPOSURE, hidden, token=token).status_code == 202
    assert send(client, TRACK, {**BOUGHT, "id": "aaaa-0003"}, token=token).status_code == 400
    # The ids of one program are not those of another.
    other = send(client, TRACK, about, token=token_for())
    assert other.json() == {"accepted": 1, "duplicates": 0}
    close()
    keys = {event["context"]["key"] for event in vendor.events("custom")}
    assert keys == {str(user.pk), "8a2c"}


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (TRACK, {"id": "short", "event": "bought"}),
        (TRACK, {"event": "bought"}),
        (TRACK, {"id": "aaaa-0001", "event": ""}),
        (TRACK, {"id": "aaaa-0001", "event": "a\u200b\nb"}),
        (TRACK, {"id": "aaaa-0001", "event": "ada@agpt.co"}),
        (TRACK, {"id": "aaaa-0001", "event": "e" * 257}),
        (TRACK, {**BOUGHT, "value": "12"}),
        (TRACK, {**BOUGHT, "value": True}),
        (TRACK, {**BOUGHT, "value": 10**400}),
        (TRACK, {**BOUGHT, "data": "x" * 5000}),
        (TRACK, {**BOUGHT, "subject": "somebody-else"}),
        (TRACK, {**BOUGHT, "anonymous": True}),
        (TRACK, {**BOUGHT, "key": "x"}),
        (EXPOSURE, {"id": "bbbb-0001", "flag": "for-servers"}),
        (EXPOSURE, {"id": "bbbb-0001", "flag": "no-such-flag"}),
        (EXPOSURE, {"id": "bbbb-0001", "flag": "new-checkout", "value": True}),
        (EXPOSURE, {**SHOWN, "variation": 2}),
        (EXPOSURE, {**SHOWN, "variation": -1}),
        (EXPOSURE, {**SHOWN, "variation": "1"}),
        (EXPOSURE, {**SHOWN, "variation": True}),
        (EXPOSURE, {**SHOWN, "variation": 10**30}),
    ],
)
def test_one_wrong_event_refuses_all(
    client: Client, ada: User, vendor: LaunchDarklyServer, path: str, wrong: Any
) -> None:
    good = {**(BOUGHT if path == TRACK else SHOWN), "id": "cccc-0001"}
    assert send(client, path, good, wrong).status_code == 400
    assert send(client, path, good).json() == {"accepted": 1, "duplicates": 0}


def test_too_many_at_once_and_none(client: Client, ada: User, vendor: LaunchDarklyServer) -> None:
    many = [{**BOUGHT, "id": f"aaaa-{number:04}"} for number in range(51)]
    assert send(client, TRACK, *many).status_code == 400
    assert send(client, TRACK).status_code == 400
    assert send(client, TRACK, *many[:50]).status_code == 202


def test_calls_are_limited(
    client: Client, ada: User, vendor: LaunchDarklyServer, settings: Settings
) -> None:
    use(settings, THROTTLE_USER=1)
    throttling.forget_counts()
    assert send(client, TRACK, BOUGHT).status_code == 202
    refused = send(client, TRACK, BOUGHT)
    assert (refused.status_code, "Retry-After" in refused) == (429, True)


def test_a_session_needs_the_token_against_forged_requests(
    ada: User, vendor: LaunchDarklyServer
) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    assert send(strict, TRACK, BOUGHT).status_code == 403


def test_while_nobody_knows_whether_it_is_new_it_is_not_taken(
    client: Client, ada: User, vendor: LaunchDarklyServer
) -> None:
    with patch("featureflags.api.events.cache") as away:
        away.add.return_value = None
        assert send(client, TRACK, BOUGHT).status_code == 503
    assert send(client, TRACK, BOUGHT).json() == {"accepted": 1, "duplicates": 0}


def test_an_event_that_was_not_sent_is_not_known(vendor: LaunchDarklyServer) -> None:
    """Where nobody can say who it is about: it may be sent again, and so may those beside it."""
    token = token_for()
    events = [{**BOUGHT, "subject": "a"}, {**BOUGHT, "id": "aaaa-0002", "subject": "b"}]
    asked: list[Any] = []

    def failing(subject: Any, **options: Any) -> Any:
        asked.append(subject)
        if subject == "b" and len(asked) < 3:
            raise OperationalError
        return resolve(subject, **options)

    client = Client()
    with patch("featureflags.api.events.resolve", failing):
        assert send(client, TRACK, *events, token=token).status_code == 503
        again = send(client, TRACK, *events, token=token)
    assert again.json() == {"accepted": 2, "duplicates": 0}


class TestWhatABrowserMayMakeUp:
    """An API key that is bound to origins is in a page: anybody who reads it may send any subject."""

    ORIGIN = "https://shop.example.com"
    FLAG = "/ofrep/v1/evaluate/flags/new-checkout"

    def spread(self, token: str, *, origin: str = "") -> None:
        """Subjects that no row has, by each way that sends events."""
        headers = {"Authorization": f"Bearer {token}", **({"Origin": origin} if origin else {})}
        for number in range(10):
            for kind, anonymous in (("visitor", True), ("user", False)):
                key = f"{kind}-{number}"
                body: Any = {"context": {"targetingKey": key, "anonymous": anonymous}}
                events = [{**SHOWN, "id": f"{key}-000", "subject": key, "anonymous": anonymous}]
                tracked = [{**BOUGHT, "id": f"{key}-001", "subject": key, "anonymous": anonymous}]
                for path, sent in (
                    (self.FLAG, body),
                    (EXPOSURE, {"events": events}),
                    (TRACK, {"events": tracked}),
                ):
                    answer = Client().post(path, sent, "application/json", headers=headers)
                    assert answer.status_code in {200, 202}, answer.content

    def keys_of(self, vendor: LaunchDarklyServer) -> set[str]:
        close()
        return {event["context"]["key"] for event in vendor.events() if "context" in event} | {
            key for event in vendor.events() for key in event.get("contextKeys", {}).values()
        }

    def test_they_share_one_context(self, vendor: LaunchDarklyServer) -> None:
        self.spread(token_for(origins=[self.ORIGIN]), origin=self.ORIGIN)
        assert self.keys_of(vendor) == {"anonymous"}

    def test_without_visitors_too(self, vendor: LaunchDarklyServer, settings: Settings) -> None:
        use(settings, VISITOR_EVENTS="none")
        self.spread(token_for(origins=[self.ORIGIN]), origin=self.ORIGIN)
        assert self.keys_of(vendor) == {"anonymous"}

    def test_a_user_is_counted_and_so_is_whom_a_server_names(
        self, vendor: LaunchDarklyServer
    ) -> None:
        ada = UserFactory.create()
        token = token_for(origins=[self.ORIGIN])
        headers = {"Authorization": f"Bearer {token}", "Origin": self.ORIGIN}
        body = {"context": {"targetingKey": str(ada.pk)}}
        Client().post(self.FLAG, body, "application/json", headers=headers)
        self.spread(token_for())
        keys = self.keys_of(vendor)
        assert str(ada.pk) in keys
        assert len(keys) == 21
