"""The live preview beside the editor: after a pause, with the newest answer, in words for all."""

from __future__ import annotations

import pytest
from playwright.sync_api import Expect, Page, Request, Route

from tests.browser.conftest import Shot
from tests.browser.editing import Editor
from tests.browser.watching import Watch
from tests.factories import SegmentFactory, UserFactory, clause, rule

PREVIEW = "**/featureflags/segment/preview/"


@pytest.fixture
def editor(editor_page: Page) -> Editor:
    """The editor of a segment that two of four users are in."""
    for name, plan in (("Ann", "pro"), ("Bob", "pro"), ("Cleo", "team")):
        UserFactory.create(name=name, email=f"{name.lower()}@example.com", metadata={"plan": plan})
    segment = SegmentFactory.create(rules=[rule(clause("custom_plan", "in", "pro"))])
    return Editor(editor_page).open(segment)


def test_numbers_and_people_change_with_the_rules(
    editor: Editor, expect: Expect, shot: Shot
) -> None:
    expect(editor.impact).to_contain_text("2 users match")
    expect(editor.impact).to_contain_text("50 % of 4 users")
    expect(editor.impact).to_contain_text("Nobody enters or leaves")
    editor.page.get_by_role("button", name="Remove pro").click()
    editor.values(editor.condition(1, 1)).fill("team")
    expect(editor.impact).to_contain_text("1 user matches")
    expect(editor.impact).to_contain_text("+1 enter")
    expect(editor.impact).to_contain_text("−2 leave")
    expect(editor.impact.get_by_role("link")).to_have_text(["Cleo", "Cleo", "Ann", "Bob"])
    expect(editor.impact.get_by_role("status")).to_have_text("1 user matches. +1 enter. −2 leave")
    shot(editor.page, "editor-preview")
    editor.page.get_by_label("Active").uncheck()
    expect(editor.impact).to_contain_text("0 users match")
    editor.page.get_by_label("Active").check()
    expect(editor.impact).to_contain_text("1 user matches")


def test_it_asks_once_after_a_pause(editor: Editor, expect: Expect) -> None:
    expect(editor.impact).to_contain_text("2 users match")
    asked: list[Request] = []
    page = editor.page
    page.on("request", lambda request: asked.append(request) if "preview" in request.url else None)
    page.clock.install()
    page.clock.pause_at("2030-01-01")
    for letter in "team":
        editor.values(editor.condition(1, 1)).press(letter)
        page.clock.run_for(300)
    assert asked == []
    page.clock.run_for(100)
    expect(editor.impact).to_contain_text("3 users match")
    [request] = asked
    assert request.method == "POST"
    assert request.headers["x-csrftoken"]


def test_a_newer_question_ends_the_one_before(editor: Editor, expect: Expect) -> None:
    expect(editor.impact).to_contain_text("2 users match")
    held: list[Route] = []
    page = editor.page

    def hold_the_first(route: Route) -> None:
        if held:
            route.fallback()
        else:
            held.append(route)

    page.route(PREVIEW, hold_the_first)
    with page.expect_request_finished(lambda request: "preview" in request.url):
        with page.expect_event("requestfailed") as ended:
            with page.expect_request(PREVIEW):
                editor.values(editor.condition(1, 1)).fill("tea")
            expect(editor.impact).to_have_attribute("aria-busy", "true")
            editor.values(editor.condition(1, 1)).fill("team")
        assert "ABORTED" in str(ended.value.failure)
    expect(editor.impact).to_contain_text("3 users match")
    expect(editor.impact).not_to_have_attribute("aria-busy", "true")


def test_what_goes_wrong_is_said_in_words_and_the_next_answer_shown(
    editor: Editor, expect: Expect, watch: Watch
) -> None:
    page = editor.page
    expect(editor.impact).to_contain_text("2 users match")
    page.route(PREVIEW, lambda route: route.abort())
    editor.values(editor.condition(1, 1)).fill("x")
    expect(editor.impact).to_contain_text("The preview does not answer just now.")
    page.unroute(PREVIEW)
    watch.expect("console: Failed to load resource: net::ERR_FAILED")
    editor.values(editor.condition(1, 1)).fill("team")
    expect(editor.impact).to_contain_text("3 users match")
    page.context.clear_cookies(name="sessionid")
    editor.values(editor.condition(1, 1)).fill("tea")
    expect(editor.impact).to_contain_text("You are logged out.")
