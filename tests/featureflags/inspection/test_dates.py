"""When flags were made and changed: asked for once, kept for all processes, never in a page's way."""

from __future__ import annotations

import logging

import pytest
from django.core.cache import caches
from pytest_django.fixtures import Settings

from featureflags.core.conf import app_settings
from featureflags.inspection.dates import FlagDates, KnownDates, flag_dates
from tests.services.launchdarkly_api import LaunchDarklyApiServer

pytestmark = pytest.mark.django_db

CHECKOUT = {
    "key": "new-checkout",
    "creationDate": 1_700_000_000_000,
    "environments": {"test": {"version": 12, "lastModified": 1_750_000_000_123}},
}
NEVER_IN_TEST = {"key": "elsewhere", "creationDate": None, "environments": {"prod": {"version": 1}}}


@pytest.fixture(autouse=True)
def configured(settings: Settings, api: LaunchDarklyApiServer) -> None:
    api.flags = {"new-checkout": CHECKOUT, "elsewhere": NEVER_IN_TEST}
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **api.settings}


def test_dates_of_each_flag_in_this_environment() -> None:
    assert flag_dates() == KnownDates(
        flags={
            "new-checkout": FlagDates(
                created_at=1_700_000_000_000_000, changed_at=1_750_000_000_123_000, version=12
            ),
            "elsewhere": FlagDates(created_at=None, changed_at=None, version=None),
        }
    )


def test_it_is_asked_for_once_by_all_processes(api: LaunchDarklyApiServer) -> None:
    first = flag_dates()
    assert flag_dates() == first
    assert len(api.requests()) == 1
    caches[app_settings().cache].clear()
    assert flag_dates() == first
    assert len(api.requests()) == 2


def test_another_environment_is_asked_for_itself(
    settings: Settings, api: LaunchDarklyApiServer
) -> None:
    flag_dates()
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "ENVIRONMENT": "prod"}
    dates = flag_dates().flags
    assert (dates["new-checkout"].version, dates["elsewhere"].version) == (None, 1)
    assert len(api.requests()) == 2


def test_a_failure_is_said_and_not_repeated_at_once(
    api: LaunchDarklyApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    api.answer(403)
    with caplog.at_level(logging.WARNING):
        found = flag_dates()
        assert flag_dates() == found
    assert found.flags == {}
    assert "403" in found.problem
    assert len(api.requests()) == 1
    assert api.token not in found.problem + caplog.text


def test_what_somebody_else_left_in_the_cache_is_asked_for_again() -> None:
    found = flag_dates()
    caches[app_settings().cache].set("flag-dates:default:test", b"\xc1")
    assert flag_dates() == found


def test_without_a_token_it_names_the_variable(
    settings: Settings, api: LaunchDarklyApiServer
) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "API_TOKEN": ""}
    assert flag_dates() == KnownDates(problem="Not set: LAUNCHDARKLY_API_TOKEN.")
    assert api.requests() == []
