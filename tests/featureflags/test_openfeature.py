"""`GuidonProvider` with OpenFeature's own SDK: values, errors, hooks, events, the request's user."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagValueType, Reason
from openfeature.hook import Hook, HookContext, HookHints
from openfeature.provider import ProviderStatus
from openfeature.track import TrackingEventDetails
from openfeature.transaction_context import clear_transaction_context_propagator
from pytest_django.fixtures import Settings

from featureflags.cache.unit_of_work import unit_of_work
from featureflags.launchdarkly import client as launchdarkly
from featureflags.launchdarkly import listeners
from featureflags.openfeature import GuidonProvider, RequestContext
from tests.clients.flags import ERRORS, OBJECT, flags
from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.featureflags.api.using import use
from tests.services.flag_json import boolean_flag
from tests.services.launchdarkly import SDK_KEY, LaunchDarklyServer
from tests.services.waiting import wait_until
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def cleared() -> Iterator[None]:
    api.shutdown()
    yield
    api.shutdown()
    api.clear_hooks()
    clear_transaction_context_propagator()
    assert listeners._listeners == []


@pytest.fixture
def ada(flag_file: FlagFile, transactional_db: None) -> User:
    flag_file(*flags())
    return UserFactory.create(employee=True)


@pytest.fixture
def client(ada: User) -> OpenFeatureClient:
    api.set_provider_and_wait(GuidonProvider())
    return api.get_client()


def about(user: User, **attributes: Any) -> EvaluationContext:
    return EvaluationContext(str(user.pk), attributes)


def test_every_type_of_value_sync_and_async(client: OpenFeatureClient, ada: User) -> None:
    context = about(ada)
    found: list[FlagEvaluationDetails[Any]] = [
        client.get_boolean_details("new-checkout", False, context),
        client.get_string_details("colour", "none", context),
        client.get_integer_details("count", 0, context),
        client.get_float_details("ratio", 0.0, context),
        client.get_float_details("count", 0, context),
        client.get_object_details("settings", {}, context),
    ]
    assert [one.error_code for one in found] == [None] * 6
    assert [one.value for one in found] == [True, "red", 3, 0.5, 3.0, OBJECT]
    assert found[0].reason == Reason.TARGETING_MATCH
    assert found[0].variant == "0"
    assert found[0].flag_metadata["ruleId"] == "rule-employee"

    async def asked() -> list[FlagEvaluationDetails[Any]]:
        return [
            await client.get_boolean_details_async("new-checkout", False, context),
            await client.get_string_details_async("colour", "none", context),
            await client.get_integer_details_async("count", 0, context),
            await client.get_float_details_async("ratio", 0.0, context),
            await client.get_float_details_async("count", 0, context),
            await client.get_object_details_async("settings", {}, context),
        ]

    again = asyncio.run(asked())
    assert [(one.value, one.reason, one.variant) for one in again] == [
        (one.value, one.reason, one.variant) for one in found
    ]


@pytest.mark.parametrize(("flag", "context", "code"), ERRORS)
def test_every_error(
    client: OpenFeatureClient, flag: str, context: EvaluationContext, code: ErrorCode
) -> None:
    found = client.get_boolean_details(flag, True, context)
    assert (found.value, found.reason, found.error_code) == (True, Reason.ERROR, code)
    awaited = asyncio.run(client.get_boolean_details_async(flag, True, context))
    assert (awaited.value, awaited.error_code) == (True, code)


def test_a_value_that_is_not_an_object_is_a_type_mismatch(
    client: OpenFeatureClient, ada: User
) -> None:
    found = client.get_object_details("colour", {"a": 1}, about(ada))
    assert (found.value, found.error_code) == ({"a": 1}, ErrorCode.TYPE_MISMATCH)


def test_a_flag_without_a_value_gives_the_default(client: OpenFeatureClient, ada: User) -> None:
    found = client.get_boolean_details("off-without-value", True, about(ada))
    assert (found.value, found.reason, found.variant) == (True, Reason.DISABLED, "default")


def test_nobody_claims_what_the_database_decides(client: OpenFeatureClient) -> None:
    customer = UserFactory.create()
    claims = {"segments": ["employee"], "email_verified": True, "custom_plan": "pro", "basket": 3}
    for flag in ("new-checkout", "for-pro"):
        assert client.get_boolean_value(flag, True, about(customer, **claims)) is False
    assert client.get_boolean_value("large-basket", False, about(customer, **claims)) is True


class TestRequest:
    def request(self, user: User | AnonymousUser) -> Any:
        request = RequestFactory().get("/")
        request.user = user
        return request

    def test_without_a_key_it_is_the_user_of_the_request(
        self, client: OpenFeatureClient, ada: User
    ) -> None:
        with unit_of_work(self.request(ada)):
            assert client.get_boolean_value("new-checkout", False) is True
        with unit_of_work(self.request(UserFactory.create())):
            assert client.get_boolean_value("new-checkout", True) is False
        with unit_of_work(self.request(AnonymousUser())):
            found = client.get_boolean_details("new-checkout", True)
            assert (found.value, found.flag_metadata["source"]) == (False, "visitor")

    def test_a_key_that_is_named_wins(self, client: OpenFeatureClient, ada: User) -> None:
        with unit_of_work(self.request(UserFactory.create())):
            assert client.get_boolean_value("new-checkout", False, about(ada)) is True

    def test_hooks_see_the_user_of_the_request(self, client: OpenFeatureClient, ada: User) -> None:
        seen: list[tuple[str | None, Any]] = []

        class Noting(Hook):
            def before(self, hook_context: HookContext, hints: HookHints) -> None:
                context = hook_context.evaluation_context
                seen.append((context.targeting_key, dict(context.attributes)))

            def after(
                self,
                hook_context: HookContext,
                details: FlagEvaluationDetails[FlagValueType],
                hints: HookHints,
            ) -> None:
                seen.append((details.flag_key, details.value))

        api.set_transaction_context_propagator(RequestContext())
        api.add_hooks([Noting()])
        with unit_of_work(self.request(ada)):
            assert client.get_boolean_value("new-checkout", False) is True
        assert seen == [(str(ada.pk), {}), ("new-checkout", True)]
        seen.clear()
        with unit_of_work(self.request(AnonymousUser())):
            assert client.get_boolean_value("new-checkout", True) is False
            assert client.get_boolean_value("new-checkout", True) is False
        assert seen[0][1] == {"anonymous": True}
        assert seen[0][0] == seen[2][0], "a visitor has one key in a request"

    def test_what_was_set_for_the_transaction_is_added(
        self, client: OpenFeatureClient, ada: User
    ) -> None:
        propagator = RequestContext()
        api.set_transaction_context_propagator(propagator)
        propagator.set_transaction_context(EvaluationContext(attributes={"basket": 3}))
        try:
            with unit_of_work(self.request(ada)):
                assert client.get_boolean_value("large-basket", False) is True
            with unit_of_work(self.request(UserFactory.create())):
                assert client.get_boolean_value("large-basket", False) is True
        finally:
            propagator.set_transaction_context(EvaluationContext())


@pytest.fixture
def server(settings: Settings, transactional_db: None) -> Iterator[LaunchDarklyServer]:
    with LaunchDarklyServer(boolean_flag("beta")) as server:
        use(
            settings,
            SDK_KEY=SDK_KEY,
            BASE_URI=server.url,
            STREAM_URI=server.url,
            EVENTS_URI=server.url,
            SEND_EVENTS=True,
        )
        yield server
        launchdarkly.close()


class TestEvents:
    def test_a_change_of_a_flag_and_of_the_connection(self, server: LaunchDarklyServer) -> None:
        heard: list[tuple[str, Any]] = []

        def hear(event: ProviderEvent) -> Any:
            def handler(details: EventDetails) -> None:
                heard.append((event.name, details.flags_changed))

            return handler

        for event in ProviderEvent:
            api.add_handler(event, hear(event))
        api.set_provider_and_wait(GuidonProvider())
        client = api.get_client()
        assert client.get_provider_status() == ProviderStatus.READY
        changed = ("PROVIDER_CONFIGURATION_CHANGED", ["beta"])
        server.set_flag(boolean_flag("beta", fallthrough=True))
        wait_until(lambda: changed in heard, what="the change")
        assert client.get_boolean_value("beta", False, EvaluationContext("x")) is True
        server.stop()
        wait_until(
            lambda: client.get_provider_status() == ProviderStatus.STALE, what="the interruption"
        )
        assert client.get_boolean_value("beta", False, EvaluationContext("x")) is True
        server.start()
        wait_until(lambda: client.get_provider_status() == ProviderStatus.READY, what="the end")

    def test_a_custom_event_reaches_launchdarkly(self, server: LaunchDarklyServer) -> None:
        api.set_provider_and_wait(GuidonProvider())
        user = UserFactory.create()
        details = TrackingEventDetails(12.5, {"items": 3})
        api.get_client().track("bought", about(user, secret="x"), details)
        launchdarkly.close()
        (event,) = [one for one in server.events() if one["kind"] == "custom"]
        assert (event["key"], event["metricValue"], event["data"]) == ("bought", 12.5, {"items": 3})
        assert "secret" not in str(event)


def test_without_flags_it_is_not_ready(settings: Settings) -> None:
    use(settings, SOURCE="offline")
    api.set_provider(GuidonProvider())
    client = api.get_client()
    wait_until(lambda: client.get_provider_status() == ProviderStatus.ERROR, what="the error")
    found = client.get_boolean_details("new-checkout", True, EvaluationContext("x"))
    assert (found.value, found.error_code) == (True, ErrorCode.PROVIDER_NOT_READY)
