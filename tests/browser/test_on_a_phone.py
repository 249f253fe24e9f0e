"""The editor on a phone, and in a window at 400 %: the number of users stays in view, and covers nothing."""

from __future__ import annotations

from typing import Final

import pytest
from django.utils.translation import trans_real
from playwright.sync_api import Expect, Locator, Page
from pytest_django.fixtures import Settings

from featureflags.models import Segment
from tests.browser.conftest import (
    EDITOR,
    PHONE,
    VIEWER,
    CheckAccessibility,
    OpenPage,
    Shot,
    person_with,
)
from tests.browser.editing import Editor, change
from tests.browser.fitting import ZOOMED
from tests.factories import SegmentFactory, UserFactory, clause, rule

MOST_KEYS: Final = 250
COVERED: Final = """() => {
    const [bar, focused] = [document.querySelector('.impact-bar'), document.activeElement];
    if (focused === bar || focused === document.body || getComputedStyle(bar).position !== 'sticky') {
        return '';
    }
    const [over, under] = [bar, focused].map(each => each.getBoundingClientRect());
    const isCovered = under.bottom > over.top + 1 && under.top < over.bottom - 1;
    return isCovered && focused.offsetHeight < innerHeight / 2 ? focused.outerHTML.slice(0, 120) : '';
}"""


@pytest.fixture
def segment(transactional_db: None) -> Segment:
    for number in range(3):
        UserFactory.create(name=f"Payer {number}", metadata={"plan": "pro"})
    rules = [rule(clause("custom_plan", "in", "pro"))]
    rules += [rule(clause("custom_plan", "in", f"plan {number}")) for number in range(12)]
    found: Segment = SegmentFactory.create(key="paying", name="Paying", rules=rules)
    return found


def bar_of(page: Page) -> Locator:
    return page.get_by_role("button", name="Who this is")


@pytest.fixture(params=[("en", "light"), ("ar", "dark")], ids=["light", "right-to-left-dark"])
def phone(
    segment: Segment,
    open_page: OpenPage,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Page:
    settings.LANGUAGE_CODE, scheme = request.param
    monkeypatch.setattr(trans_real, "_default", None)
    page: Page = open_page(person_with(*EDITOR), viewport=PHONE, color_scheme=scheme)
    return page


def test_the_number_stays_in_view_and_leads_to_the_preview(
    segment: Segment,
    phone: Page,
    expect: Expect,
    shot: Shot,
    check_accessibility: CheckAccessibility,
) -> None:
    page, editor, bar = phone, Editor(phone).open(segment), bar_of(phone)
    expect(bar).to_have_text("Who this is 3 users match. Nobody enters or leaves.")
    for number in (1, 6, 12):
        editor.rule(number).scroll_into_view_if_needed()
        expect(bar).to_be_in_viewport(ratio=1)
    check_accessibility(page)
    shot(page, f"phone-bar-{page.evaluate('document.documentElement.dir')}")
    editor.condition(2, 1).get_by_role("button", name="Remove plan 0").click()
    expect(bar).to_contain_text("Not finished yet")
    bar.press("Enter")
    expect(page.locator("#impact-title")).to_be_focused()
    expect(page.locator("#impact-title")).to_be_in_viewport()
    expect(editor.impact).to_contain_text("Not finished yet")


def test_it_covers_nothing_that_has_the_focus(
    segment: Segment, open_page: OpenPage, expect: Expect
) -> None:
    page = open_page(person_with(*EDITOR), viewport=PHONE)
    Editor(page).open(segment)
    expect(bar_of(page)).to_contain_text("3 users match")
    page.evaluate("document.activeElement.blur()")
    covered = []
    for key in ("Tab", "Shift+Tab"):
        for _press in range(MOST_KEYS):
            page.keyboard.press(key)
            if text := page.evaluate(COVERED):
                covered.append(f"{key}: {text}")
            if page.evaluate("document.activeElement.name") == "_save":
                break
    assert not covered, "\n".join(covered)


def test_who_may_only_look_has_it_too(
    segment: Segment, open_page: OpenPage, expect: Expect
) -> None:
    page = open_page(person_with(*VIEWER), viewport=PHONE)
    page.goto(change(segment))
    expect(bar_of(page)).to_contain_text("3 users match")
    page.locator("#rule-5").scroll_into_view_if_needed()
    expect(bar_of(page)).to_be_in_viewport(ratio=1)


def test_beside_the_rules_and_in_a_low_window_there_is_no_bar(
    segment: Segment, open_page: OpenPage, expect: Expect
) -> None:
    page = open_page(person_with(*EDITOR))
    editor = Editor(page).open(segment)
    expect(editor.impact).to_contain_text("3 users match")
    expect(bar_of(page)).to_have_count(0)
    page.set_viewport_size(ZOOMED)
    editor.rule(3).scroll_into_view_if_needed()
    expect(bar_of(page)).not_to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") == ZOOMED["width"]
