"""`@openfeature/ofrep-provider` in Node, and `@openfeature/ofrep-web-provider` in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer

from featureflags.api import throttling
from tests.browser.thread import BrowserThread
from tests.clients import node
from tests.clients.flags import OBJECT, flags
from tests.clients.serving import Answering, chromium, listening
from tests.conftest import FlagFile
from tests.factories import UserFactory, token_for
from tests.featureflags.api.using import use
from tests.services.processes import on_this_database, running_server
from tests.services.waiting import wait_until
from users.models import User

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    node.require_node()
    return node.install(tmp_path_factory.mktemp("node"))


class TestNode:
    def test_every_type_of_value(self, packages: Path, live_server: LiveServer, ada: User) -> None:
        context = {"targetingKey": str(ada.pk)}
        answers = node.ask(
            packages,
            live_server.url,
            token_for(),
            [
                ("boolean", "new-checkout", False, context),
                ("string", "colour", "none", context),
                ("number", "count", 0, context),
                ("number", "ratio", 0, context),
                ("object", "settings", {}, context),
                ("boolean", "large-basket", False, {**context, "basket": 3}),
                ("boolean", "off", True, context),
            ],
        )
        assert [one["value"] for one in answers] == [True, "red", 3, 0.5, OBJECT, True, False]
        assert not [one for one in answers if "errorCode" in one]
        assert [one["reason"] for one in answers] == [
            *("TARGETING_MATCH", "STATIC", "STATIC", "STATIC", "STATIC", "TARGETING_MATCH"),
            "DISABLED",
        ]
        assert answers[0]["variant"] == "0"
        assert answers[0]["flagMetadata"]["ruleId"] == "rule-employee"

    def test_every_error(self, packages: Path, live_server: LiveServer, ada: User) -> None:
        context = {"targetingKey": str(ada.pk)}
        answers = node.ask(
            packages,
            live_server.url,
            token_for(),
            [
                ("boolean", "no-such-flag", True, context),
                ("boolean", "malformed", True, context),
                ("boolean", "new-checkout", True, {}),
                ("boolean", "new-checkout", True, {"targetingKey": "ada@agpt.co"}),
                ("boolean", "colour", True, context),
            ],
        )
        assert [one["value"] for one in answers] == [True] * 5
        assert [one["errorCode"] for one in answers] == [
            *("FLAG_NOT_FOUND", "PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT"),
            "TYPE_MISMATCH",
        ]

    def test_who_may_not_and_who_must_wait(
        self, packages: Path, live_server: LiveServer, ada: User, settings: Any
    ) -> None:
        question = ("boolean", "new-checkout", False, {"targetingKey": str(ada.pk)})
        for token in ("", "nonsense", token_for(kinds=["organization"])):
            (answer,) = node.ask(packages, live_server.url, token, [question])
            assert (answer["value"], answer["errorCode"]) == (False, "GENERAL")
        use(settings, THROTTLE_KEY=1)
        throttling.forget_counts()
        answers = node.ask(packages, live_server.url, token_for(), [question] * 3)
        assert [one["value"] for one in answers] == [True, False, False]
        assert "rate limit exceeded, try again after" in answers[1]["errorMessage"]


@pytest.fixture(scope="module")
def script(packages: Path) -> str:
    return node.bundle(packages)


class Shop(Answering):
    """An empty page of another site."""

    def get(self) -> None:
        self.answer("text/html", b"<!doctype html><title>Shop</title>")


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    """The origin of a page that is not the site's."""
    with listening(Shop) as url:
        yield url


@pytest.fixture(scope="module")
def thread() -> Iterator[BrowserThread]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(thread: BrowserThread, script: str, shop: str) -> Iterator[Page]:
    """A page of another origin, with the web provider's script, and nothing of the page before."""
    with closing(thread.browser.new_context()) as context:
        page = context.new_page()
        page.goto(shop)
        page.add_script_tag(content=script)
        yield page


class TestBrowser:
    @pytest.fixture
    def token(self, settings: Any, ada: User, shop: str) -> str:
        settings.CORS_ALLOWED_ORIGINS = [shop]
        return token_for(origins=[shop])

    def begin(self, page: Page, url: str, token: str, user: User, poll: int = 0) -> Any:
        arguments = [url, token, {"targetingKey": str(user.pk)}, poll]
        return page.evaluate("all => window.guidon.begin(...all)", arguments)

    def asked(self, page: Page, kind: str, flag: str, default: object) -> Any:
        return page.evaluate("all => window.guidon.ask(...all)", [kind, flag, default])

    def test_it_has_the_flags_for_browsers(
        self, page: Page, live_server: LiveServer, ada: User, token: str, flag_file: FlagFile
    ) -> None:
        flag_file(*({**each, "clientSide": True} for each in flags()))
        assert self.begin(page, live_server.url, token, ada) == "READY"
        asked = [
            self.asked(page, "boolean", "new-checkout", False),
            self.asked(page, "string", "colour", "none"),
            self.asked(page, "number", "count", 0),
            self.asked(page, "number", "ratio", 0),
            self.asked(page, "object", "settings", {}),
            self.asked(page, "boolean", "off-without-value", True),
        ]
        assert [one["value"] for one in asked] == [True, "red", 3, 0.5, OBJECT, True]
        assert asked[0]["reason"] == "TARGETING_MATCH"
        wrong = [
            self.asked(page, "boolean", "no-such-flag", True),
            self.asked(page, "boolean", "malformed", True),
            self.asked(page, "boolean", "colour", True),
        ]
        assert [one["errorCode"] for one in wrong] == [
            *("FLAG_NOT_FOUND", "PARSE_ERROR", "TYPE_MISMATCH"),
        ]

    def test_another_user_has_other_values(
        self, page: Page, live_server: LiveServer, ada: User, token: str
    ) -> None:
        self.begin(page, live_server.url, token, ada)
        assert self.asked(page, "boolean", "new-checkout", False)["value"] is True
        other = {"targetingKey": str(UserFactory.create().pk)}
        page.evaluate("context => window.guidon.become(context)", other)
        assert self.asked(page, "boolean", "new-checkout", True)["value"] is False

    def test_polling_is_answered_with_304_until_something_changes(
        self, page: Page, live_server: LiveServer, ada: User, token: str
    ) -> None:
        statuses: list[int] = []
        page.on("response", lambda answer: statuses.append(answer.status))
        self.begin(page, live_server.url, token, ada, poll=100)

        def is_unchanged() -> bool:
            # Playwright calls handlers while it is asked for something.
            page.wait_for_timeout(20)
            return statuses.count(304) >= 2

        wait_until(is_unchanged, what="polls that are answered with 304")
        ada.email_verified = False
        ada.save()
        wait_until(
            lambda: self.asked(page, "boolean", "new-checkout", True)["value"] is False,
            what="the change to be seen",
        )
        changed = page.evaluate("window.guidon.events")
        assert ["PROVIDER_CONFIGURATION_CHANGED", ["new-checkout"]] in changed
        page.evaluate("window.guidon.end()")

    def test_a_wrong_key_and_another_origin(
        self, page: Page, live_server: LiveServer, ada: User, token: str, settings: Any
    ) -> None:
        assert self.begin(page, live_server.url, "nonsense", ada) != "READY"
        elsewhere = token_for(origins=["https://other.example.com"])
        assert self.begin(page, live_server.url, elsewhere, ada) != "READY"
        settings.CORS_ALLOWED_ORIGINS = []
        assert self.begin(page, live_server.url, token, ada) != "READY"

    def test_too_many_calls(
        self, page: Page, live_server: LiveServer, ada: User, token: str, settings: Any
    ) -> None:
        use(settings, THROTTLE_KEY=1)
        throttling.forget_counts()
        assert self.begin(page, live_server.url, token, ada) == "READY"
        other = {"targetingKey": str(UserFactory.create().pk)}
        page.evaluate("context => window.guidon.become(context)", other)
        assert page.evaluate("window.guidon.events").count(["PROVIDER_STALE", None]) == 1


class TestStream:
    """`changeDetection: "sse"`, the provider's default, against a real ASGI server."""

    @pytest.fixture
    def server(self, ada: User, flag_file: FlagFile, shop: str) -> Iterator[str]:
        path = flag_file(*({**each, "clientSide": True} for each in flags()))
        env = {
            **on_this_database(),
            "LAUNCHDARKLY_FLAG_FILE": str(path),
            "CORS_ALLOWED_ORIGINS": shop,
        }
        with running_server(env, server="uvicorn", path="/healthz") as web:
            yield web.url

    def test_a_change_arrives_without_polling(
        self, page: Page, server: str, ada: User, shop: str
    ) -> None:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        arguments = [server, token_for(origins=[shop]), {"targetingKey": str(ada.pk)}, 0]
        assert page.evaluate("all => window.guidon.begin(...all)", arguments) == "READY"

        def value() -> object:
            page.wait_for_timeout(20)
            ask = "window.guidon.ask('boolean', 'new-checkout', true).value"
            return page.evaluate(ask)

        assert value() is True
        wait_until(lambda: value() and _streams(asked) == 1, what="the stream")
        page.wait_for_timeout(1500)
        before = len(asked)
        ada.email_verified = False
        ada.save()
        wait_until(lambda: value() is False, what="the change")
        changed = page.evaluate("window.guidon.events")
        assert ["PROVIDER_CONFIGURATION_CHANGED", ["new-checkout"]] in changed
        assert _streams(asked) == 1, "the stream goes on"
        assert len(asked) > before
        page.evaluate("window.guidon.end()")


def _streams(asked: list[str]) -> int:
    return sum("/guidon/events?ticket=" in url for url in asked)
