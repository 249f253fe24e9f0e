"""What is typed into a segment's form outlives a logout, a reload, the browser's Back, and its cache of
pages; and it is forgotten when it is saved."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.urls import reverse
from playwright.sync_api import Expect, Page

from featureflags.models import Segment
from tests.browser.conftest import PHONE, CheckAccessibility, OpenPage, Shot
from tests.browser.editing import Editor, change, stored_clauses
from tests.browser.watching import Watch
from tests.factories import SegmentFactory, UserFactory, clause, rule

PRO = rule(clause("custom_plan", "in", "pro"))
PASSWORD = "a-long-enough-pass-phrase"
BACK = "What you typed is back. It is not saved yet."
KEPT = re.compile("Changes of .* that were never saved are kept in this tab")


@pytest.fixture
def paying(transactional_db: None) -> Segment:
    segment: Segment = SegmentFactory.create(key="paying", name="Paying", rules=[PRO])
    return segment


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    user = UserFactory.create(superuser=True, email="root@agpt.co")
    user.set_password(PASSWORD)
    user.save()
    return open_page(user)


def log_out(page: Page) -> None:
    """As when the session has ended."""
    page.context.clear_cookies(name=settings.SESSION_COOKIE_NAME)


def log_in(page: Page) -> None:
    """On the page to log in, which another tab shows."""
    page.locator("[name=username]").fill("root@agpt.co")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(re.compile("/admin/$"))


def type_some(editor: Editor) -> None:
    editor.page.get_by_label("Name:").fill("Teams")
    editor.page.get_by_label("Active").uncheck()
    editor.page.get_by_label("Note for the history").fill("Teams pay too")
    editor.values(editor.condition(1, 1)).fill("team")
    editor.values(editor.condition(1, 1)).press("Enter")


def expect_typed(editor: Editor, expect: Expect) -> None:
    page = editor.page
    expect(page.get_by_label("Name:")).to_have_value("Teams")
    expect(page.get_by_label("Active")).not_to_be_checked()
    expect(page.get_by_label("Note for the history")).to_have_value("Teams pay too")
    expect(editor.condition(1, 1).locator(".rule-chip > bdi")).to_have_text(["pro", "team"])


def kept_in(page: Page) -> list[str]:
    names: list[str] = page.evaluate("() => Object.keys(sessionStorage)")
    return [name for name in names if name.startswith("guidon-draft:")]


def expect_saved(editor: Editor, expect: Expect) -> None:
    page = editor.page
    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")
    assert stored_clauses("paying")[0]["values"] == ["pro", "team"]
    assert kept_in(page) == []
    page.goto(change(Segment.objects.get(key="paying")))
    expect(page.get_by_label("Name:")).to_have_value("Teams")
    expect(page.locator(".draft-note")).to_have_count(0)


def test_after_logging_in_elsewhere_the_preview_and_save_go_on(
    page: Page, paying: Segment, expect: Expect, check_accessibility: CheckAccessibility, shot: Shot
) -> None:
    editor = Editor(page).open(paying)
    log_out(page)
    type_some(editor)
    expect(editor.impact).to_contain_text("You are logged out.")
    page.get_by_role("button", name="Save", exact=True).click()
    note = page.locator(".session-note")
    expect(note).to_contain_text("You are logged out. Nothing is sent")
    check_accessibility(page)
    shot(page, "logged-out")
    with page.expect_popup() as opened:
        note.get_by_role("link", name="Log in in another tab").click()
    log_in(opened.value)
    expect_typed(editor, expect)
    # Chromium without a window never hides a tab, so the event of coming back is made.
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    expect(note).to_have_text("You are logged in again: go on here.")
    expect(editor.impact).to_contain_text("0 users match")
    editor.save()
    expect_saved(editor, expect)


def test_a_login_elsewhere_changes_the_token_under_a_form_that_goes_on(
    page: Page, paying: Segment, expect: Expect, watch: Watch
) -> None:
    """Nobody looked at the page while it was logged out."""
    watch.expect("403.*preview")
    editor = Editor(page).open(paying)
    expect(editor.impact).to_contain_text("0 users match")
    log_out(page)
    other = page.context.new_page()
    other.goto(reverse("admin:login"))
    log_in(other)
    UserFactory.create(metadata={"plan": "team"})
    type_some(editor)
    page.get_by_label("Active").check()
    expect(editor.impact).to_contain_text("1 user matches")
    page.get_by_label("Active").uncheck()
    editor.save()
    expect_saved(editor, expect)


def test_a_form_sent_without_asking_is_offered_again_after_the_login(
    page: Page, paying: Segment, expect: Expect
) -> None:
    """As from the page that asks for a confirmation, or with the browser closed on the way."""
    editor = Editor(page).open(paying)
    type_some(editor)
    log_out(page)
    page.evaluate("() => document.getElementById('segment_form').submit()")
    log_in_here = page.get_by_label("Password")
    expect(log_in_here).to_be_visible()
    page.locator("[name=username]").fill("root@agpt.co")
    log_in_here.fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    note = page.locator(".draft-note")
    expect(note).to_have_text(KEPT)
    expect(page.get_by_label("Name:")).to_have_value("Paying")
    note.get_by_role("button", name="Bring them back").click()
    expect_typed(editor, expect)
    editor.save()
    expect_saved(editor, expect)


@pytest.mark.parametrize("way", ["back", "reload"])
def test_coming_back_to_the_page_shows_everything_that_was_typed(
    page: Page,
    paying: Segment,
    expect: Expect,
    check_accessibility: CheckAccessibility,
    shot: Shot,
    way: str,
) -> None:
    editor = Editor(page).open(paying)
    type_some(editor)
    page.on("dialog", lambda dialog: dialog.accept())
    if way == "back":
        page.get_by_role("link", name="Home").click()
        expect(page).to_have_title(re.compile("Site administration"))
        page.go_back()
    else:
        page.reload()
    expect(page.locator(".draft-note")).to_contain_text(BACK)
    expect_typed(editor, expect)
    check_accessibility(page)
    shot(page, f"draft-{way}")
    page.get_by_role("button", name="Show what is saved").click()
    expect(page.get_by_label("Name:")).to_have_value("Paying")
    expect(page.get_by_label("Active")).to_be_checked()
    assert editor.chips(editor.condition(1, 1)) == ["pro"]
    assert kept_in(page) == []


def test_back_after_saving_shows_what_is_saved(page: Page, paying: Segment, expect: Expect) -> None:
    editor = Editor(page).open(paying)
    type_some(editor)
    editor.save()
    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")
    page.go_back()
    while not page.locator("#segment_form").count():
        page.go_back()
    expect(page.get_by_label("Note for the history")).to_have_value("")
    expect(page.get_by_label("Name:")).to_have_value("Teams")
    assert editor.chips(editor.condition(1, 1)) == ["pro", "team"]
    expect(page.locator(".draft-note")).to_have_count(0)
    # Based on the stored version: a save makes no conflict.
    page.get_by_label("Name:").fill("Later")
    editor.save()
    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")


def test_a_page_from_the_browsers_own_cache_can_be_saved(
    page: Page, paying: Segment, expect: Expect
) -> None:
    """Chromium is driven without that cache; the event that ends a stay in it is made here."""
    editor = Editor(page).open(paying)
    type_some(editor)
    again = "() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"
    page.evaluate(again)
    expect_typed(editor, expect)
    # Saved from here meanwhile: the page would show an old version.
    with page.expect_response(re.compile("/change/$")):
        page.get_by_role("button", name="Save and continue editing").click()
    expect_saved(editor, expect)


def test_people_of_the_preview_open_apart(page: Page, paying: Segment, expect: Expect) -> None:
    UserFactory.create(name="Paula", metadata={"plan": "pro"})
    editor = Editor(page).open(paying)
    type_some(editor)
    page.get_by_label("Active").check()
    with page.expect_popup() as opened:
        editor.impact.get_by_role("link", name="Paula").click()
    expect(opened.value.get_by_role("heading", name="Paula").first).to_be_visible()
    expect(page.get_by_label("Name:")).to_have_value("Teams")


def test_a_draft_of_somebody_else_is_not_shown(page: Page, paying: Segment, expect: Expect) -> None:
    other = UserFactory.create(superuser=True, email="other@agpt.co")
    other.set_password(PASSWORD)
    other.save()
    editor = Editor(page).open(paying)
    type_some(editor)
    log_out(page)
    page.evaluate("() => document.getElementById('segment_form').submit()")
    page.locator("[name=username]").fill("other@agpt.co")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_label("Name:")).to_have_value("Paying")
    expect(page.locator(".draft-note")).to_have_count(0)


def test_a_server_that_is_away_loses_nothing(
    page: Page, paying: Segment, expect: Expect, watch: Watch
) -> None:
    watch.expect("ERR_INTERNET_DISCONNECTED")
    editor = Editor(page).open(paying)
    type_some(editor)
    expect(editor.impact).to_contain_text("match")
    page.context.set_offline(True)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".session-note")).to_contain_text("The server does not answer")
    page.context.set_offline(False)
    expect_typed(editor, expect)
    editor.save()
    expect_saved(editor, expect)


@pytest.fixture(params=[False, True], ids=["desktop", "phone-dark"])
def new_form(open_page: OpenPage, request: pytest.FixtureRequest) -> Page:
    options = {"viewport": PHONE, "color_scheme": "dark"} if request.param else {}
    page: Page = open_page(UserFactory.create(superuser=True), **options)
    return page


def test_a_new_segment_is_kept_too(
    new_form: Page, expect: Expect, check_accessibility: CheckAccessibility, shot: Shot
) -> None:
    editor = Editor(new_form).add("fresh", "Fresh")
    editor.add_rule()
    editor.values(editor.say(1, 1, "Name", "contains")).fill("typed")
    new_form.on("dialog", lambda dialog: dialog.accept())
    new_form.goto(reverse("admin:index"))
    editor.add()
    note = new_form.locator(".draft-note")
    expect(note).to_have_text(KEPT)
    check_accessibility(new_form)
    shot(new_form, f"draft-offered-{new_form.evaluate('innerWidth')}")
    note.get_by_role("button", name="Bring them back").click()
    expect(new_form.get_by_label("Key:")).to_have_value("fresh")
    editor.save()
    assert stored_clauses("fresh")[0]["values"] == ["typed"]
