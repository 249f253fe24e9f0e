"""How many contexts LaunchDarkly sees, and bills, for visitors with and without a cookie."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.urls import path
from pytest_django.fixtures import Settings

from featureflags.contexts.building import visitor_context, with_extra
from featureflags.contexts.new_visitors import NewVisitor
from featureflags.core.conf import app_settings
from featureflags.evaluation import is_enabled, resolve, track
from featureflags.launchdarkly.client import close
from tests.services.launchdarkly import LaunchDarklyServer, boolean_flag
from tests.services.processes import ROOT

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

BROWSERS = 50


def checking(request: HttpRequest) -> HttpResponse:
    shown = is_enabled("beta", request=request, attributes={"page": "home"})
    track("seen", request=request)
    return HttpResponse(str(shown))


urlpatterns = [path("", checking)]


def billed(server: LaunchDarklyServer) -> set[str]:
    """The keys of all contexts in all events."""
    close()
    return {event["context"]["key"] for event in server.events() if "context" in event} | {
        key for event in server.events() for key in event.get("contextKeys", {}).values()
    }


def choose(settings: Settings, value: str) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "VISITOR_EVENTS": value}


def of_docs(row: str) -> dict[str, int]:
    """The figures of the documentation: contexts by setting."""
    text = (ROOT / "docs/operators/launchdarkly.md").read_text()
    names = re.search(r"^\| 50 requests \|(.*)\|$", text, re.MULTILINE)
    values = re.search(rf"^\| {row} \|(.*)\|$", text, re.MULTILINE)
    assert names
    assert values
    settings = re.findall(r"`(\w+)`", names[1])
    return dict(zip(settings, map(int, re.findall(r"(\d+) context", values[1])), strict=True))


@pytest.mark.parametrize("setting", ["returning", "all", "none"])
def test_requests_without_a_cookie(
    connected: LaunchDarklyServer, settings: Settings, setting: str
) -> None:
    choose(settings, setting)
    connected.set_flag(boolean_flag("beta", fallthrough=True, track_events=True))
    for _ in range(BROWSERS):
        assert Client().get("/").content == b"True"
    assert len(billed(connected)) == of_docs("without a cookie")[setting]
    counted = sum(
        counter["count"]
        for event in connected.events("summary")
        for counter in event["features"]["beta"]["counters"]
    )
    assert counted == BROWSERS, "every evaluation is counted"


@pytest.mark.parametrize("setting", ["returning", "all", "none"])
def test_browsers_that_keep_their_cookie(
    connected: LaunchDarklyServer, settings: Settings, setting: str
) -> None:
    choose(settings, setting)
    for _ in range(BROWSERS):
        browser = Client()
        browser.get("/")
        browser.get("/")
    expected = of_docs("of 50 browsers that keep their cookie, twice each")[setting]
    assert len(billed(connected)) == expected


def test_a_new_visitor_has_the_key_that_the_cookie_will_bring(rf: RequestFactory) -> None:
    request = rf.get("/")
    request.user = AnonymousUser()
    first = resolve(None, request=request)
    assert type(first.context) is NewVisitor
    assert re.fullmatch(r"[0-9a-f]{32}", first.context.key)
    assert first.context.get("anonymous_key") == first.context.key
    again = visitor_context(first.context.key)
    assert type(again.context) is not NewVisitor
    assert first.context.to_dict() == again.context.to_dict(), "rules see the same"


def test_extra_attributes_keep_the_mark_and_private_names() -> None:
    found: Any = with_extra(visitor_context("v1", is_new=True), {"email": "x@example.org"})
    assert type(found.context) is NewVisitor
    assert found.context.get("email") == "x@example.org"
    assert list(found.context.private_attributes) == ["email"]


@override_settings(FEATUREFLAGS={"VISITOR_EVENTS": "some"})
def test_a_wrong_setting_names_no_visitor() -> None:
    assert app_settings().visitor_events == "none"
