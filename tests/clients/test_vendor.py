"""LaunchDarkly's own SDK in Chromium starts with the page, and agrees with the server when it identifies."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.template import RequestContext, Template
from django.urls import include, path
from ldclient import Config, Context, LDClient
from playwright.sync_api import Page
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from tests.browser.conftest import log_in
from tests.clients import node
from tests.clients.serving import Answering, chromium, listening
from tests.conftest import FlagFile
from tests.docs.fences import PAGES, fences_of
from tests.factories import UserFactory
from tests.featureflags.api.using import use
from tests.services.flag_json import boolean_flag, segment_rule, string_flag

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]

(DOCUMENTED,) = (page for page in PAGES if page.name == "browsers.md")
SDK_KEY = "sdk-secret"
PAGE = """<!doctype html><title>Shop</title>{% load featureflags %}
<p data-flag="for-pages"></p><p data-flag="colour"></p><p data-flag="for-servers"></p>
{% flags_bootstrap %}"""


def shop(request: HttpRequest) -> HttpResponse:
    return HttpResponse(Template(PAGE).render(RequestContext(request)))


urlpatterns = [path("shop/", shop), path("", include("config.urls"))]


def documented(vendor: str) -> str:
    """The script of the documentation, with a vendor that listens here."""
    (shown,) = (fence.text for fence in fences_of(DOCUMENTED) if fence.title == "start.js")
    where = "".join(f"{name}Url: '{vendor}', " for name in ("base", "stream", "events"))
    assert "fetchGoals: false," in shown
    text = shown.replace("fetchGoals: false,", f"fetchGoals: false, sendEvents: false, {where}")
    return f"async () => {{ {text}\nwindow.guidon.show(client); }}"


class Vendor:
    """What LaunchDarkly does in secure mode: it refuses a context whose hash is not that of the SDK key."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.contexts: list[dict[str, Any]] = []
        self.sdk = LDClient(Config(SDK_KEY, offline=True))
        self.url = ""

    def answer(self, address: str) -> int:
        self.requests.append(address)
        where, _mark, query = address.partition("?")
        packed = where.rpartition("/")[2]
        context = json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
        wanted = self.sdk.secure_mode_hash(Context.from_dict(context))
        if f"h={wanted}" not in query:
            return 400
        self.contexts.append(context)
        return 200


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    found = Vendor()

    class Handler(Answering):
        def get(self) -> None:
            body = b'{"colour": {"value": "from the vendor", "version": 2}}'
            self.answer("application/json", body, found.answer(self.path))

    with listening(Handler) as found.url:
        yield found
    found.sdk.close()


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    node.require_node()
    folder: Path = node.install(tmp_path_factory.mktemp("vendor"))
    return node.bundle(folder, name="vendor.mjs")


@pytest.fixture
def page(script: str, live_server: LiveServer) -> Iterator[Page]:
    with chromium() as thread:
        context = thread.browser.new_context(base_url=live_server.url, bypass_csp=True)
        yield context.new_page()


@pytest.mark.urls("tests.clients.test_vendor")
def test_flags_are_there_without_a_request_and_identify_agrees_with_the_server(
    page: Page,
    script: str,
    vendor: Vendor,
    live_server: LiveServer,
    flag_file: FlagFile,
    settings: Settings,
) -> None:
    flag_file(
        {**boolean_flag("for-pages", rules=[segment_rule("employee")]), "clientSide": True},
        {**string_flag("colour", ["red", "blue"]), "clientSide": True},
        boolean_flag("for-servers"),
    )
    use(settings, CLIENT_SIDE_ID="65f0c0ffee", SDK_KEY=SDK_KEY, SOURCE="file")
    ada, bob = UserFactory.create(employee=True), UserFactory.create()
    log_in(page.context, live_server.url, ada)
    page.goto("/shop/")
    page.add_script_tag(content=script)
    page.evaluate(documented(vendor.url))
    assert page.locator("[data-flag]").all_inner_texts() == ["true", "red", "null"]
    assert vendor.requests == []

    # Another user logs in, and the page stays.
    log_in(page.context, live_server.url, bob)
    flags = page.evaluate("window.guidon.become()")
    assert flags == {"colour": "from the vendor"}
    [context] = vendor.contexts
    assert (context["kind"], context["key"]) == ("user", str(bob.pk))
    assert not {"email", "name", "segments", "segment"} & context.keys()

    # Nobody becomes somebody else: the hash of one user is not that of another.
    forged = "() => window.guidon.identifyWith({kind: 'user', key: 'x'}, 'forged').catch(String)"
    page.evaluate(forged)
    assert len(vendor.requests) > 1
    assert len(vendor.contexts) == 1
