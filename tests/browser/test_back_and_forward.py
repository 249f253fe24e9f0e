"""Back and Forward in a Chromium that keeps the pages which one leaves, as browsers do outside of tests.

Django's admin sends `no-store`, with which Chromium asks for the page anew and Safari keeps it all the same. Both ways are
tried: nothing that was typed is lost, and no old number is shown as if it were of now.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.http import HttpResponse
from django.utils.cache import patch_cache_control
from django.views.decorators import cache
from playwright.sync_api import Expect, Page
from pytest_django.live_server_helper import LiveServer

from featureflags.models import Segment
from tests.browser.conftest import DESKTOP, log_in
from tests.browser.editing import Editor, change
from tests.browser.thread import PATIENCE_SECONDS, BrowserThread
from tests.browser.watching import Watch
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory, clause, rule

KEPT = "() => window.wasKept"
SCRIPT = "addEventListener('pageshow', event => { window.wasKept = event.persisted; })"


def without_no_store(response: HttpResponse) -> None:
    patch_cache_control(response, no_cache=True, private=True)


@pytest.fixture(params=["kept", "asked for anew"])
def is_kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the browser may keep pages."""
    if request.param == "kept":
        monkeypatch.setattr(cache, "add_never_cache_headers", without_no_store)
    return bool(request.param == "kept")


@pytest.fixture
def page(
    transactional_db: None,
    is_kept: bool,
    live_server: LiveServer,
    flag_file: FlagFile,
    browser_thread: BrowserThread,
) -> Iterator[Page]:
    browser = browser_thread.launch(ignore_default_args=["--disable-back-forward-cache"])
    context = browser.new_context(base_url=live_server.url, viewport=DESKTOP, locale="en-GB")
    watch = Watch()
    browser_thread.run(watch.attach, context)
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    context.add_init_script(SCRIPT)
    log_in(context, live_server.url, UserFactory.create(superuser=True))
    page = context.new_page()
    page.on("dialog", lambda dialog: dialog.accept())
    yield page
    browser.close()
    assert not watch.problems()


@pytest.fixture
def paying(transactional_db: None) -> Segment:
    UserFactory.create(metadata={"plan": "pro"})
    found: Segment = SegmentFactory.create(
        key="paying", name="Paying", rules=[rule(clause("custom_plan", "in", "pro"))]
    )
    return found


def leave(page: Page, way: str) -> None:
    """As the buttons of the browser do. Not at once: the page has to answer before it is gone."""
    page.evaluate(f"() => {{ setTimeout(() => history.{way}()); }}")


def go(page: Page, way: str, *, is_kept: bool, title: str) -> None:
    leave(page, way)
    page.wait_for_function(f"() => document.title.includes({title!r})")
    assert page.evaluate(KEPT) is is_kept


def test_the_editor_keeps_what_is_typed_and_renews_its_numbers(
    page: Page, paying: Segment, expect: Expect, is_kept: bool
) -> None:
    editor = Editor(page).open(paying)
    expect(editor.impact).to_contain_text("1 user matches")
    page.get_by_label("Name:").fill("Teams")
    editor.values(editor.condition(1, 1)).fill("team")
    editor.values(editor.condition(1, 1)).press("Enter")
    page.get_by_role("link", name="Home").first.click()
    page.wait_for_url("**/admin/")
    for _number in range(2):
        UserFactory.create(metadata={"plan": "team"})
    go(page, "back", is_kept=is_kept, title="Change segment")
    expect(page.get_by_label("Name:")).to_have_value("Teams")
    assert editor.chips(editor.condition(1, 1)) == ["pro", "team"]
    expect(editor.impact).to_contain_text("3 users match")
    leave(page, "forward")
    # Kept or not, it is asked for anew in the end: its numbers are old.
    page.wait_for_function("() => location.pathname === '/admin/' && window.wasKept === false")
    go(page, "back", is_kept=is_kept, title="Change segment")
    assert editor.chips(editor.condition(1, 1)) == ["pro", "team"]
    editor.save()
    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")


def test_a_list_shows_what_is_there_now(
    page: Page, paying: Segment, expect: Expect, is_kept: bool
) -> None:
    page.goto("/admin/featureflags/segment/by-name/paying/")
    expect(page.get_by_text("Included: 0. Excluded: 0.")).to_be_visible()
    page.get_by_role("link", name="Home").first.click()
    page.wait_for_url("**/admin/")
    paying.members.create(user=UserFactory.create(email="ada@x.io"), kind="include")
    leave(page, "back")
    expect(page.get_by_text("Included: 1. Excluded: 0.")).to_be_visible()
    expect(page.get_by_role("row", name="ada@x.io")).to_be_visible()


def test_a_form_keeps_what_is_typed_and_can_be_sent(
    page: Page, paying: Segment, expect: Expect, is_kept: bool
) -> None:
    UserFactory.create(email="ada@x.io")
    page.goto("/admin/featureflags/segment/by-name/paying/import/")
    page.get_by_label("Paste a list").fill("ada@x.io")
    page.get_by_role("link", name="Home").first.click()
    page.wait_for_url("**/admin/")
    go(page, "back", is_kept=is_kept, title="Import")
    expect(page.get_by_label("Paste a list")).to_have_value("ada@x.io")
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("main")).to_contain_text("Included 1 user")


def test_the_answer_to_a_form_is_not_sent_again(
    page: Page, paying: Segment, expect: Expect
) -> None:
    """The page that asks whether a change is meant."""
    page.goto(change(paying))
    page.get_by_label("Active").uncheck()
    version = paying.version
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Nothing is saved yet.")).to_be_visible()
    page.get_by_role("link", name="Home").first.click()
    page.wait_for_url("**/admin/")
    leave(page, "back")
    page.wait_for_timeout(500)
    paying.refresh_from_db()
    assert paying.version == version
