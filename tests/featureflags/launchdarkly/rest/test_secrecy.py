"""The token is nowhere to be read: errors, representations, frames of tracebacks, log lines."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

import pytest
from django.test import override_settings
from pytest_django.fixtures import Settings

from featureflags.core.conf import app_settings
from featureflags.launchdarkly.rest import errors
from featureflags.launchdarkly.rest.client import ManagementClient, management_client
from featureflags.launchdarkly.rest.models import NewSegment
from featureflags.launchdarkly.rest.transport import Secret
from tests.services.launchdarkly_api import TOKEN, LaunchDarklyApiServer


def everything_said(error: BaseException) -> str:
    """An error as the most talkative reporter shows it: causes, contexts, and each local."""
    lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
    chain, here = [repr(error), repr(vars(error))], error.__context__ or error.__cause__
    while here is not None:
        chain.append(repr(here) + repr(vars(here)))
        here = here.__context__ or here.__cause__
    return "".join(lines) + "".join(chain)


def refuse(api: LaunchDarklyApiServer) -> None:
    api.answer(403)


def fail(api: LaunchDarklyApiServer) -> None:
    api.answer(503)


def limit(api: LaunchDarklyApiServer) -> None:
    api.answer(429)


def cut(api: LaunchDarklyApiServer) -> None:
    api.drop()


def stop(api: LaunchDarklyApiServer) -> None:
    api.stop()


def babble(api: LaunchDarklyApiServer) -> None:
    api.answer(200, body=b"{")


def repeat_the_token(api: LaunchDarklyApiServer) -> None:
    api.answer(401, body=b'{"code":"unauthorized","message":"Bad token %s"}' % TOKEN.encode())


def repeat_the_token_in_a_page(api: LaunchDarklyApiServer) -> None:
    api.answer(502, body=b"<p>Authorization: %s</p>" % TOKEN.encode())


@pytest.mark.parametrize(
    "happen",
    [refuse, fail, limit, cut, stop, babble, repeat_the_token, repeat_the_token_in_a_page],
)
def test_no_error_and_no_log_line_holds_the_token(
    api: LaunchDarklyApiServer,
    rest: ManagementClient,
    caplog: pytest.LogCaptureFixture,
    happen: Callable[[LaunchDarklyApiServer], None],
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "stamina"):
        caplog.set_level(logging.DEBUG, logger=name)
    happen(api)
    calls: list[Callable[[], object]] = [
        lambda: rest.segment("beta"),
        lambda: rest.create_segment(NewSegment(key="b", name="b", description="", tags=())),
    ]
    for call in calls:
        with pytest.raises(errors.ManagementError) as caught:
            call()
        # pytest's own frames, which hold `api` and with it the token, are not part of it.
        said = everything_said(caught.value.with_traceback(own_frames(caught.value)))
        assert TOKEN not in said
        assert "segments/default/test" in str(caught.value)
        assert TOKEN not in repr(pickle.loads(pickle.dumps(caught.value)))
    assert "httpcore" in {record.name.split(".")[0] for record in caplog.records}
    assert TOKEN not in caplog.text
    assert not any(TOKEN in repr(vars(record)) for record in caplog.records)


def own_frames(error: BaseException) -> TracebackType:
    """The traceback from the client's first frame on."""
    trace = error.__traceback__
    while (
        trace is not None and "featureflags/launchdarkly" not in trace.tb_frame.f_code.co_filename
    ):
        trace = trace.tb_next
    assert trace is not None
    return trace


def test_an_error_of_ours_does_not_keep_the_one_of_httpx(
    api: LaunchDarklyApiServer, rest: ManagementClient
) -> None:
    api.drop()
    with pytest.raises(errors.ConnectionLostError) as caught:
        rest.segment("beta")
    seen: list[BaseException | None] = [caught.value]
    while seen[-1] is not None:
        seen.append(seen[-1].__cause__ or seen[-1].__context__)
    assert not any(type(each).__module__.startswith("http") for each in seen)


def test_no_representation_holds_the_token(rest: ManagementClient) -> None:
    shown = [rest, Secret(TOKEN), rest._transport, rest._transport._http]
    assert not any(TOKEN in f"{each!r}{each}" for each in shown)


def test_the_settings_do_not_show_the_token(settings: Settings) -> None:
    with override_settings(FEATUREFLAGS={**settings.FEATUREFLAGS, "API_TOKEN": TOKEN}):
        assert app_settings().api_token == TOKEN
        assert TOKEN not in repr(app_settings())
        assert TOKEN not in repr(replace(app_settings(), project="x"))


def test_what_is_missing_is_named_by_its_variable(settings: Settings) -> None:
    with (
        override_settings(FEATUREFLAGS={**settings.FEATUREFLAGS, "API_TOKEN": TOKEN}),
        pytest.raises(errors.NotConfiguredError) as caught,
    ):
        management_client(project="default")
    assert str(caught.value) == "Not set: LAUNCHDARKLY_ENVIRONMENT."
    assert TOKEN not in everything_said(caught.value.with_traceback(None))
