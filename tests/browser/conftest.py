"""Pages of a live server in Chromium, logged in as the user that a test needs, and watched.

`open_page(user)` opens a page; `superuser_page`, `editor_page` and `viewer_page` are there for the
common cases. `expect` is Playwright's own. The database is written to as in any other test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth.models import Permission
from django.db import connections
from django.test import Client
from playwright.sync_api import BrowserContext, Expect, Page, ViewportSize
from pytest_django.live_server_helper import LiveServer

from featureflags.core.postgresql import base
from tests.browser.chromium import MISSING, find_chromium, is_required, keeps_pictures
from tests.browser.editing import Editor
from tests.browser.thread import PATIENCE_SECONDS, BrowserThread
from tests.browser.watching import Watch
from tests.factories import UserFactory
from users.models import User

ARTEFACTS: Final = Path(__file__).resolve().parents[2] / "artefacts"

AWAY: Final = "Asia/Kolkata"
"""Where the browser is. Not where the site is: its times are the site's, wherever one looks."""

DESKTOP: Final = ViewportSize(width=1280, height=900)
PHONE: Final = ViewportSize(width=390, height=844)

AXE_OPTIONS: Final = {
    "resultTypes": ["violations"],
    # Else axe-core writes the page's style sheets into it once more, which its policy refuses.
    "preload": False,
    # A magnifying glass with an alternative text names Django's search box; it wants a word there.
    "rules": {"label-title-only": {"enabled": False}, "target-size": {"enabled": True}},
}

VIEWER: Final = ("view_segment", "view_segmentmember", "view_user")
EDITOR: Final = (
    *VIEWER,
    *("add_segment", "change_segment", "delete_segment"),
    *("add_segmentmember", "change_segmentmember", "delete_segmentmember"),
)


class OpenPage(Protocol):
    def __call__(self, user: User | None = None, **options: Any) -> Page:
        """A page of the live server, which `/…` addresses, logged in as this user.

        Options are those of Playwright's `new_context`: `viewport`, `color_scheme`,
        `java_script_enabled`…
        """
        ...


class Shot(Protocol):
    def __call__(self, page: Page, name: str) -> None:
        """With GUIDON_PICTURES=1, keep a picture of the whole page in `artefacts/`, which git ignores."""
        ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Without a browser nothing is set up either."""
    if find_chromium() is None:
        pytest.fail(MISSING) if is_required() else pytest.skip(MISSING)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and report.failed:
        _keep_pages_of(item)
    return report


def _keep_pages_of(item: pytest.Item) -> None:
    """What the pages of a failed test looked like."""
    contexts: list[BrowserContext] = getattr(item, "funcargs", {}).get("browser_contexts", [])
    name = re.sub(r"[^\w-]+", "-", item.name)
    for number, page in enumerate(page for context in contexts for page in context.pages):
        path = ARTEFACTS / "failures" / f"{name}-{number}.png"
        try:
            page.screenshot(path=path, full_page=True)
        except Exception as error:  # noqa: BLE001 - the failure itself is what is reported
            print(f"no picture of {page}: {error}")


@pytest.fixture(scope="session")
def browser_thread() -> Iterator[BrowserThread]:
    """One Chromium for the whole run; each test has profiles of its own in it."""
    thread = BrowserThread(find_chromium() or MISSING)
    yield thread
    thread.close()


@pytest.fixture
def expect(browser_thread: BrowserThread) -> Expect:
    """Playwright's assertions, which wait for what they expect."""
    return browser_thread.expect()


@pytest.fixture
def watch() -> Watch:
    """What went wrong in the browser; `watch.expect(…)` lists the errors that a test expects."""
    return Watch()


@pytest.fixture(autouse=True)
def patient_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no reason for a page that says that PostgreSQL is away: the settings of tests say the rest."""
    monkeypatch.setattr(base, "PING_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(base, "ADMIN_PING_SECONDS", PATIENCE_SECONDS)


@pytest.fixture
def browser_contexts() -> list[BrowserContext]:
    """The profiles that a test has opened."""
    return []


@pytest.fixture
def open_page(
    transactional_db: None,
    flag_file: Callable[..., Path],
    live_server: LiveServer,
    browser_thread: BrowserThread,
    browser_contexts: list[BrowserContext],
    watch: Watch,
) -> Iterator[OpenPage]:
    """See `OpenPage`. At its end the test fails for whatever `watch` has seen."""

    def open_one(user: User | None = None, **options: Any) -> Page:
        chosen = {
            "base_url": live_server.url,
            "viewport": DESKTOP,
            "locale": "en-GB",
            "timezone_id": AWAY,
            "reduced_motion": "reduce",
            **options,
        }
        context = browser_thread.browser.new_context(**chosen)
        browser_contexts.append(context)
        browser_thread.run(watch.attach, context)
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        if user is not None:
            log_in(context, live_server.url, user)
        return context.new_page()

    yield open_one
    for context in browser_contexts:
        # The last events of a page come with the answer to a last call.
        for page in context.pages:
            page.title()
        context.close()
    assert not watch.problems()


def log_in(context: BrowserContext, url: str, user: User) -> None:
    """Give a browser the session of a user."""
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": url}])
    # What the test wrote is committed; nothing of its connection must lock the server's out.
    connections.close_all()


def person_with(*permissions: str, **fields: Any) -> User:
    """A member of staff who may do this much, by codenames."""
    user = UserFactory.create(staff=True, **fields)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


@pytest.fixture
def superuser_page(open_page: OpenPage) -> Page:
    """A page of somebody who may do everything."""
    return open_page(UserFactory.create(superuser=True, email="root@agpt.co", name="Root"))


@pytest.fixture
def editor_page(open_page: OpenPage) -> Page:
    """A page of somebody who may view, add, change and delete segments and their members."""
    return open_page(person_with(*EDITOR, email="edith@agpt.co", name="Edith Editor"))


@pytest.fixture
def viewer_page(open_page: OpenPage) -> Page:
    """A page of somebody who may only look."""
    return open_page(person_with(*VIEWER, email="vito@agpt.co", name="Vito Viewer"))


@pytest.fixture
def shot() -> Shot:
    """See `Shot`."""

    def keep(page: Page, name: str) -> None:
        if keeps_pictures():
            page.screenshot(path=ARTEFACTS / "screenshots" / f"{name}.png", full_page=True)

    return keep


class CheckAccessibility(Protocol):
    def __call__(self, page: Page, only: str | None = None) -> None:
        """Fail for any violation that axe-core finds, or for those of one of its rules."""
        ...


@pytest.fixture
def check_accessibility() -> CheckAccessibility:
    """See `CheckAccessibility`. Best practice is included."""

    def check(page: Page, only: str | None = None) -> None:
        options = AXE_OPTIONS if only is None else {**AXE_OPTIONS, "runOnly": [only]}
        # There the bar of the editor is in its own place, and over nothing that can be pressed.
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        results = Axe().run(page, options=options)
        assert results.violations_count == 0, results.generate_report()

    return check


@pytest.fixture
def watch_status() -> Callable[[Page], str]:
    """The last announcement of the rule editor to screen readers."""

    def announced(page: Page) -> str:
        return page.locator(".rule-status").text_content() or ""

    return announced


@pytest.fixture
def editor(editor_page: Page) -> Editor:
    """The editor of somebody who may change segments, with some metadata to suggest."""
    for number in range(3):
        UserFactory.create(name=f"Payer {number}", metadata={"plan": "pro", "seats": number})
    return Editor(editor_page)
