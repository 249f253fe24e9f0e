"""The percentage of a rule, and what is odd about rules, in the editor: mouse, keyboard, phone, dark."""

from __future__ import annotations

import pytest
from playwright.sync_api import Expect, Page

from featureflags.models import Segment
from tests.browser.conftest import PHONE, CheckAccessibility, Shot
from tests.browser.editing import Editor, stored
from tests.factories import SegmentFactory, UserFactory, clause, rule


@pytest.fixture
def editor(editor_page: Page) -> Editor:
    """The editor of a segment that forty users are in."""
    for number in range(40):
        UserFactory.create(
            email=f"u{number}@example.com", metadata={"plan": "pro", "company": f"c{number % 3}"}
        )
    segment = SegmentFactory.create(key="paying", rules=[rule(clause("custom_plan", "in", "pro"))])
    return Editor(editor_page).open(segment)


def test_a_tenth_of_those_who_match_is_taken_by_keyboard_alone(
    editor: Editor, expect: Expect
) -> None:
    page = editor.page
    expect(editor.impact).to_contain_text("40 users match")
    editor.rule(1).get_by_role("button", name="Take only a percentage of them").focus()
    page.keyboard.press("Enter")
    percent = editor.rule(1).get_by_label("Percentage of rule 1: per cent")
    expect(percent).to_be_focused()
    expect(editor.rule(1).get_by_role("button", name="Take only a percentage")).to_be_hidden()
    page.keyboard.type("50")
    expect(editor.impact).not_to_contain_text("40 users match")
    page.keyboard.press("Tab")
    page.keyboard.type("company")
    expect(editor.rule(1)).to_contain_text("Those without “company” are all taken.")
    editor.save("Save and continue editing")
    assert stored("paying")[0]["weight"] == 50_000
    assert stored("paying")[0]["bucketBy"] == "custom_company"
    expect(percent).to_have_value("50")


def test_a_percentage_is_a_number_and_can_be_removed_again(editor: Editor, expect: Expect) -> None:
    editor.rule(1).get_by_role("button", name="Take only a percentage of them").click()
    percent = editor.rule(1).get_by_label("Percentage of rule 1: per cent")
    percent.fill("half")
    expect(editor.impact).to_contain_text("weight must be a whole number")
    editor.page.get_by_role("button", name="Save", exact=True).click()
    expect(editor.summary).to_contain_text(
        "The percentage must be a number from 0 to 100, with at most three decimals."
    )
    expect(percent).to_be_focused()
    for typed in ("100.0001", "33.33333", "-1", " "):
        percent.fill(typed)
        editor.page.get_by_role("button", name="Save", exact=True).click()
        expect(editor.summary).to_contain_text("with at most three decimals")
        expect(percent).to_have_value(typed)
    percent.fill("12,5")
    editor.save("Save and continue editing")
    assert stored("paying")[0]["weight"] == 12_500
    expect(percent).to_have_value("12.5")
    editor.rule(1).get_by_role("button", name="Take everybody who matches rule 1").click()
    expect(editor.rule(1).get_by_role("button", name="Take only a percentage")).to_be_focused()
    editor.save()
    assert "weight" not in stored("paying")[0]


def test_the_salt_is_shown_with_a_percentage_and_another_one_draws_others(
    editor: Editor, expect: Expect, shot: Shot, check_accessibility: CheckAccessibility
) -> None:
    page = editor.page
    advanced = page.get_by_text("Percentages (advanced)")
    expect(editor.impact).to_contain_text("40 users match")
    expect(advanced).to_be_hidden()
    editor.rule(1).get_by_role("button", name="Take only a percentage of them").click()
    editor.rule(1).get_by_label("Percentage of rule 1: per cent").fill("50")
    editor.save("Save and continue editing")
    expect(editor.impact).to_contain_text("Nobody enters or leaves")
    page.locator("summary", has_text="Percentages (advanced)").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Salt:")).to_be_focused()
    page.keyboard.type("drawn anew")
    expect(editor.impact).not_to_contain_text("Nobody enters or leaves")
    expect(editor.impact).to_contain_text("enter")
    check_accessibility(page)
    shot(page, "percentage-salt")
    editor.save("Save and continue editing")
    assert Segment.objects.get(key="paying").salt == "drawn anew"
    editor.rule(1).get_by_role("button", name="Take everybody who matches rule 1").click()
    # What is set stays in view.
    expect(advanced).to_be_visible()


def test_what_the_form_does_not_touch_stays_as_it_was(editor_page: Page) -> None:
    odd = {"weight": 33_333, "bucketBy": "/custom_o/x", "rolloutContextKind": "user"}
    segment = SegmentFactory.create(
        key="odd", rules=[rule(clause("custom_plan", "in", "pro"), **odd)]
    )
    editor = Editor(editor_page).open(segment)
    editor.page.get_by_label("Name:").fill("Another name")
    editor.save()
    assert {name: stored("odd")[0][name] for name in odd} == odd


def test_what_is_odd_is_named_with_the_way_to_mend_it(editor: Editor, expect: Expect) -> None:
    expect(editor.impact).to_contain_text("40 users match")
    editor.page.get_by_role("button", name="Remove pro").click()
    editor.values(editor.condition(1, 1)).fill("pr0")
    expect(editor.impact).to_contain_text("What to look at")
    expect(editor.impact).to_contain_text('nobody has the value "pr0". Did you mean "pro"?')
    editor.impact.get_by_role("link", name="Rule 1, condition 1").click()
    expect(editor.condition(1, 1)).to_be_in_viewport()
    editor.values(editor.condition(1, 1)).fill("pro")
    expect(editor.impact).not_to_contain_text("What to look at")
    editor.rule(1).get_by_role("button", name="Duplicate").click()
    expect(editor.impact).to_contain_text("Rule 2: it matches exactly the same as rule 1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("is_phone", [False, True])
def test_it_is_accessible_and_fits_a_phone(
    editor: Editor,
    expect: Expect,
    shot: Shot,
    check_accessibility: CheckAccessibility,
    scheme: str,
    is_phone: bool,
) -> None:
    page = editor.page
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    if is_phone:
        page.set_viewport_size(PHONE)
    editor.rule(1).get_by_role("button", name="Take only a percentage of them").click()
    editor.rule(1).get_by_role("button", name="Duplicate").click()
    editor.rule(2).get_by_label("Percentage of rule 2: per cent").fill("5")
    expect(editor.impact).to_contain_text("rule 1 already matches all that it matches")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.evaluate("window.innerWidth")
    shot(page, f"percentage-{scheme}-{'phone' if is_phone else 'desk'}")
    check_accessibility(page)
