"""Which calls are tried again: counted at the server. How long is waited: as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import stamina.instrumentation
from stamina.instrumentation import RetryDetails

from featureflags.core.types import MICROSECONDS_PER_SECOND
from featureflags.launchdarkly.rest import errors
from featureflags.launchdarkly.rest.client import ManagementClient
from featureflags.launchdarkly.rest.models import AddRule, NewSegment, RemoveRule, UpdateName
from featureflags.launchdarkly.rest.retries import RetryPolicy, backoff, wait_asked
from featureflags.launchdarkly.rest.transport import Secret
from tests.featureflags.conftest import IMPATIENT
from tests.services.launchdarkly_api import LaunchDarklyApiServer

Call = Callable[[ManagementClient], object]

NEW = NewSegment(key="new", name="New", description="", tags=())
ADD_RULE = AddRule(clauses=(), description="")

CALLS: dict[str, Call] = {
    "get": lambda rest: rest.segment("beta"),
    "list": lambda rest: list(rest.segments()),
    "delete": lambda rest: rest.delete_segment("beta"),
    "rename": lambda rest: rest.patch_segment("beta", [UpdateName(value="B")], comment=""),
    "create": lambda rest: rest.create_segment(NEW),
    "add a rule": lambda rest: rest.patch_segment(
        "beta", [RemoveRule(rule_id="x"), ADD_RULE], comment=""
    ),
}
TWICE_IS_ONCE = ("get", "list", "delete", "rename")
TWICE_IS_TWICE = ("create", "add a rule")

REFUSALS = [
    (400, errors.InvalidRequestError),
    (401, errors.AuthenticationError),
    (403, errors.ForbiddenError),
    (404, errors.NotFoundError),
    (405, errors.InvalidRequestError),
    (409, errors.ConflictError),
    (422, errors.InvalidRequestError),
    (451, errors.InvalidRequestError),
]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(("status", "expected"), REFUSALS)
def test_a_refusal_is_never_tried_again(
    api: LaunchDarklyApiServer,
    rest: ManagementClient,
    name: str,
    status: int,
    expected: type[errors.ManagementError],
) -> None:
    api.answer(status)
    with pytest.raises(errors.ManagementError) as caught:
        CALLS[name](rest)
    assert type(caught.value) is expected
    assert caught.value.message == "a fault of the test"
    assert caught.value.failure is not None
    assert (caught.value.failure.status, caught.value.failure.code) == (status, "a_fault")
    assert len(api.requests()) == 1


@pytest.mark.parametrize("name", CALLS)
def test_after_too_many_requests_any_call_is_tried_again(
    api: LaunchDarklyApiServer, rest: ManagementClient, name: str
) -> None:
    api.answer(429)
    with pytest.raises(errors.RateLimitError):
        CALLS[name](rest)
    assert len(api.requests()) == IMPATIENT.attempts


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("name", TWICE_IS_ONCE)
def test_a_failing_server_is_asked_again_where_twice_is_once(
    api: LaunchDarklyApiServer, rest: ManagementClient, name: str, status: int
) -> None:
    api.answer(status)
    with pytest.raises(errors.ServerError):
        CALLS[name](rest)
    assert len(api.requests()) == IMPATIENT.attempts


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("name", TWICE_IS_TWICE)
def test_a_failing_server_is_not_asked_again_where_twice_is_twice(
    api: LaunchDarklyApiServer, rest: ManagementClient, name: str, status: int
) -> None:
    api.answer(status)
    with pytest.raises(errors.ServerError):
        CALLS[name](rest)
    assert len(api.requests()) == 1


@pytest.mark.parametrize(
    ("name", "requests"),
    [
        *((name, IMPATIENT.attempts) for name in TWICE_IS_ONCE),
        *((name, 1) for name in TWICE_IS_TWICE),
    ],
)
def test_a_connection_that_breaks_is_like_a_failing_server(
    api: LaunchDarklyApiServer, rest: ManagementClient, name: str, requests: int
) -> None:
    api.drop()
    with pytest.raises(errors.ConnectionLostError) as caught:
        CALLS[name](rest)
    assert caught.value.failure is not None
    assert caught.value.failure.status is None
    assert len(api.requests()) == requests


def test_a_silent_server_is_given_up(api: LaunchDarklyApiServer) -> None:
    api.hang()
    policy = replace(IMPATIENT, attempts=2, answer_within=0.05)
    with (
        ManagementClient(
            token=Secret(api.token),
            url=api.url,
            project="default",
            environment="test",
            policy=policy,
        ) as rest,
        pytest.raises(errors.ConnectionLostError, match="ReadTimeout"),
    ):
        rest.segment("beta")
    assert len(api.requests()) == 2


@pytest.mark.parametrize("name", CALLS)
def test_a_failed_connection_is_tried_again_for_any_call(
    api: LaunchDarklyApiServer, rest: ManagementClient, name: str, tries: list[RetryDetails]
) -> None:
    api.stop()
    with pytest.raises(errors.NotConnectedError, match="not reached"):
        CALLS[name](rest)
    assert len(tries) == IMPATIENT.attempts - 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_recovers_is_answered_with_success(
    api: LaunchDarklyApiServer, rest: ManagementClient, status: int
) -> None:
    api.store.put("beta")
    api.answer(status, times=2)
    assert rest.segment("beta").key == "beta"
    assert [each.status for each in api.requests()] == [status, status, 200]


def test_a_delete_that_got_no_answer_finds_nothing_left(
    api: LaunchDarklyApiServer, rest: ManagementClient
) -> None:
    api.store.put("beta")
    api.drop(times=1, after_work=True)
    with pytest.raises(errors.NotFoundError):
        rest.delete_segment("beta")
    assert api.store.keys() == []


@pytest.fixture
def tries() -> Iterator[list[RetryDetails]]:
    """What stamina is about to wait, each time."""
    found: list[RetryDetails] = []

    def note(details: RetryDetails) -> None:
        found.append(details)

    stamina.instrumentation.set_on_retry_hooks([note])
    yield found
    stamina.instrumentation.set_on_retry_hooks(None)


@pytest.mark.parametrize("status", [429, 503])
def test_the_client_waits_as_long_as_it_is_asked_to(
    api: LaunchDarklyApiServer, rest: ManagementClient, tries: list[RetryDetails], status: int
) -> None:
    api.store.put("beta")
    api.answer(status, headers={"Retry-After": "1"}, times=1)
    rest.segment("beta")
    assert [each.wait_for for each in tries] == [1.0]


def test_a_server_that_asks_for_too_long_is_not_waited_for(
    api: LaunchDarklyApiServer, rest: ManagementClient
) -> None:
    api.answer(429, headers={"Retry-After": "3600"})
    with pytest.raises(errors.RateLimitError) as caught:
        rest.segment("beta")
    assert caught.value.failure is not None
    assert caught.value.failure.wait == 3600
    assert len(api.requests()) == 1


NOW = 1_800_000_000 * MICROSECONDS_PER_SECOND
"""2027-01-15T08:00:00Z."""


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:09 GMT"}, 9),
        ({"retry-after": "Fri, 15 Jan 2027 07:59:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"x-ratelimit-reset": "1800000004500"}, 4.5),
        ({"x-ratelimit-reset": "1799999990000"}, 0),
        ({"x-ratelimit-reset": "never"}, None),
        ({"retry-after": "2", "x-ratelimit-reset": "1800000008000"}, 8),
        ({"retry-after": "9", "x-ratelimit-reset": "1800000008000"}, 9),
        ({"retry-after": "soon", "x-ratelimit-reset": "1800000008000"}, 8),
    ],
)
def test_wait_asked(headers: dict[str, str], seconds: float | None) -> None:
    assert wait_asked(headers, NOW) == seconds


def test_an_error_that_is_not_ours_is_not_tried_again() -> None:
    assert backoff(RetryPolicy(), idempotent=True)(ValueError()) is False
