"""`openfeature-provider-ofrep` against a running server: each type of value, each status."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason
from pytest_django.live_server_helper import LiveServer

from featureflags.api import throttling
from tests.clients.flags import ERRORS, OBJECT
from tests.factories import UserFactory, token_for
from tests.featureflags.api.using import use
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


SESSIONS: list[requests.Session] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """A connection that is kept would keep its thread, and that one its connection to the database."""
    yield
    while SESSIONS:
        SESSIONS.pop().close()


def client_of(live_server: LiveServer, token: str) -> OpenFeatureClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    provider = OFREPProvider(live_server.url, headers_factory=lambda: headers, timeout=30.0)
    SESSIONS.append(provider.session)
    api.set_provider(provider, "guidon")
    return api.get_client("guidon")


def about(user: User, **attributes: Any) -> EvaluationContext:
    return EvaluationContext(str(user.pk), attributes)


def test_every_type_of_value(live_server: LiveServer, ada: User) -> None:
    client, context = client_of(live_server, token_for()), about(ada)
    found: list[FlagEvaluationDetails[Any]] = [
        client.get_boolean_details("new-checkout", False, context),
        client.get_string_details("colour", "none", context),
        client.get_integer_details("count", 0, context),
        client.get_float_details("ratio", 0.0, context),
        client.get_object_details("settings", {}, context),
    ]
    assert [one.value for one in found] == [True, "red", 3, 0.5, OBJECT]
    assert [one.error_code for one in found] == [None] * 5
    assert found[0].reason == Reason.TARGETING_MATCH
    assert found[0].variant == "0"
    assert found[0].flag_metadata["ruleId"] == "rule-employee"


def test_every_reason(live_server: LiveServer, ada: User) -> None:
    client, context = client_of(live_server, token_for()), about(ada)

    def reason(flag: str) -> object:
        return client.get_boolean_details(flag, True, context).reason

    assert reason("off") == Reason.DISABLED
    assert reason("dependent") == Reason.DISABLED
    assert reason("large-basket") == Reason.STATIC
    without = client.get_boolean_details("off-without-value", True, context)
    assert (without.value, without.reason) == (True, Reason.DISABLED)


@pytest.mark.parametrize(("flag", "context", "code"), ERRORS)
def test_every_error(
    live_server: LiveServer, ada: User, flag: str, context: EvaluationContext, code: ErrorCode
) -> None:
    found = client_of(live_server, token_for()).get_boolean_details(flag, True, context)
    assert (found.value, found.error_code) == (True, code)


def test_without_a_key_and_beyond_its_scope(live_server: LiveServer, ada: User) -> None:
    for token, words in (
        ("", "unauthorized"),
        ("nonsense", "unauthorized"),
        (token_for(kinds=["organization"]), "forbidden"),
    ):
        found = client_of(live_server, token).get_boolean_details("colour", True, about(ada))
        assert (found.error_code, found.error_message) == (ErrorCode.GENERAL, words)


def test_it_waits_as_long_as_the_limit_says(
    live_server: LiveServer, ada: User, settings: Any
) -> None:
    use(settings, THROTTLE_KEY=1)
    throttling.forget_counts()
    client = client_of(live_server, token_for())
    first = client.get_string_details("colour", "", about(ada))
    assert first.error_code is None
    second, third = (client.get_string_details("colour", "", about(ada)) for _call in range(2))
    assert "Rate limited, retry after: " in str(second.error_message)
    assert "paused due to TooManyRequests" in str(third.error_message)


def test_the_row_is_enriched_here_and_cannot_be_claimed(live_server: LiveServer, ada: User) -> None:
    client, customer = client_of(live_server, token_for()), UserFactory.create()
    claimed = about(customer, segments=["employee"], email_verified=True, role="admin")
    assert client.get_boolean_value("new-checkout", True, claimed) is False
    assert client.get_boolean_value("new-checkout", False, about(ada)) is True
    assert client.get_boolean_value("large-basket", False, about(ada, basket=3)) is True
