"""What our own operators and options add to the editor of rules: dates that move, case, an example."""

from __future__ import annotations

import pytest
from playwright.sync_api import Expect, Page

from tests.browser.conftest import DESKTOP, PHONE, CheckAccessibility, Shot
from tests.browser.editing import Editor, stored_clauses
from tests.factories import SegmentFactory, UserFactory, clause, rule


@pytest.fixture
def editor(editor_page: Page) -> Editor:
    return Editor(editor_page)


def test_a_negated_condition_may_let_in_who_has_no_such_field(
    editor: Editor, expect: Expect
) -> None:
    editor.add("missing").add_rule()
    condition = editor.say(1, 1, "Name", "contains")
    box = condition.get_by_label("or has no “Name”")
    expect(box).to_be_hidden()
    editor.say(1, 1, "Name", "does not contain")
    editor.values(condition).fill("test")
    editor.page.keyboard.press("Tab")
    editor.page.keyboard.press("Tab")
    expect(box).to_be_focused()
    editor.page.keyboard.press("Space")
    expect(condition).not_to_contain_text("do not match")
    editor.save("Save and continue editing")
    [saved] = stored_clauses("missing")
    assert (saved["negate"], saved.get("orMissing")) == (True, True)
    expect(box).to_be_checked()
    editor.say(1, 1, "Name", "contains")
    editor.save()
    assert stored_clauses("missing")[0].keys() == {"attribute", "op", "values", "negate"}


def test_case_can_be_ignored_where_it_counts(editor: Editor, expect: Expect) -> None:
    editor.add("case").add_rule()
    condition = editor.say(1, 1, "Account age in days")
    box = condition.get_by_label("in upper or lower case")
    expect(box).to_be_hidden()
    # An address is stored in lower case.
    editor.say(1, 1, "E-mail", "contains")
    expect(box).to_be_hidden()
    editor.say(1, 1, "Name", "starts with")
    editor.values(condition).fill("Test")
    box.check()
    editor.save("Save and continue editing")
    assert stored_clauses("case")[0]["ignoreCase"] is True
    expect(box).to_be_checked()
    box.uncheck()
    editor.save()
    assert "ignoreCase" not in stored_clauses("case")[0]


def test_dates_that_move_are_filled_in_with_the_keyboard(editor: Editor, expect: Expect) -> None:
    editor.add("moving").add_rule()
    keyboard = editor.page.keyboard
    condition = editor.say(1, 1, "Last seen", "is in the last")
    condition.get_by_label("Comparison").focus()
    keyboard.press("Tab")
    expect(condition.get_by_label("Value: Number")).to_be_focused()
    keyboard.type("2")
    keyboard.press("Tab")
    expect(condition.get_by_label("Value: Unit")).to_be_focused()
    keyboard.type("weeks")
    editor.add_condition(1)
    second = editor.say(1, 2, "Account created", "is within")
    second.get_by_label("Value").select_option(label="this quarter")
    editor.add_condition(1)
    third = editor.say(1, 3, "Account created", "is between")
    third.get_by_label("from: Date").fill("2026-01-01")
    third.get_by_label("until before: Date").fill("2026-02-01")
    editor.add_condition(1)
    fourth = editor.say(1, 4, "Account created", "is not on the same day of the year as")
    expect(fourth.get_by_label("Value: Day")).to_be_hidden()
    fourth.get_by_label("Value", exact=True).select_option(label="a day of the year")
    fourth.get_by_label("Value: Day").fill("24")
    fourth.get_by_label("Value: Month").select_option(label="December")
    editor.save("Save and continue editing")
    assert [(each["op"], each["values"]) for each in stored_clauses("moving")] == [
        ("inLast", ["P2W"]),
        ("within", ["thisQuarter"]),
        ("between", ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"]),
        ("onDayOfYear", ["12-24"]),
    ]
    expect(condition.get_by_label("Value: Number")).to_have_value("2")
    expect(fourth.get_by_label("Value: Month")).to_have_value("12")
    # Another operator of the same kind keeps what was typed.
    editor.say(1, 1, "Last seen", "is longer ago than")
    condition.get_by_label("Value: Number").fill("0")
    editor.page.get_by_role("button", name="Save", exact=True).click()
    expect(editor.summary).to_contain_text("Give a whole number from 1 to 9,999.")
    condition.get_by_label("Value: Number").fill("36")
    condition.get_by_label("Value: Unit").select_option(label="hours")
    editor.save()
    assert stored_clauses("moving")[0]["values"] == ["PT36H"]


def test_an_expression_is_tried_on_an_example(editor: Editor, expect: Expect) -> None:
    editor.add("tried").add_rule()
    condition = editor.say(1, 1, "Name", "matches the expression")
    example = condition.get_by_label("Try it on an example…")
    answer = condition.get_by_role("status")
    editor.values(condition).fill("^Te.t")
    example.fill("test 7")
    expect(answer).to_have_text('"^Te.t" does not match.')
    condition.get_by_label("in upper or lower case").check()
    expect(answer).to_have_text('"^Te.t" matches.')
    editor.values(condition).fill("(")
    expect(answer).to_contain_text("is not a valid expression: missing )")
    editor.values(condition).fill("^test")
    expect(answer).to_have_text('"^test" matches.')
    editor.save()
    [saved] = stored_clauses("tried")
    assert (saved["values"], saved["ignoreCase"]) == (["^test"], True)


def test_every_kind_of_input_is_accessible_on_a_desk_and_on_a_phone(
    editor: Editor, check_accessibility: CheckAccessibility, shot: Shot
) -> None:
    conditions = [
        clause("last_seen_at", "inLast", "P14D"),
        clause("created_at", "between", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        clause("created_at", "within", "lastQuarter"),
        clause("created_at", "onDayOfYear", "today"),
        clause("created_at", "onDayOfYear", "12-24"),
        {
            **clause("name", "in", "Test", "Probe", negate=True),
            "ignoreCase": True,
            "orMissing": True,
        },
        clause("name", "matches", "^qa[0-9]+ "),
        clause("groups", "hasAtLeast", 2),
        clause("custom_ip", "ipInRange", "10.0.0.0/8", "2001:db8::/32"),
        clause("custom_app", "semVerGreaterThanOrEqual", "2.1"),
    ]
    editor.open(SegmentFactory.create(key="all", name="All kinds", rules=[rule(*conditions)]))
    page = editor.page
    page.get_by_label("Try it on an example…").fill("qa7 ")
    page.get_by_text("matches.").wait_for()
    assert page.locator(".rule-json").count() == 0
    for name, size in (("desktop", DESKTOP), ("phone", PHONE)):
        page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            shot(page, f"rule-options-{name}-{scheme}")
            check_accessibility(page)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= size["width"]


@pytest.mark.parametrize(
    ("field", "value", "comparison"),
    [
        ("born", "1990-05-17", "is before"),
        ("app", "2.1.0", "is at least version"),
        ("seats", 5, "is at least"),
        ("city", "Rome", "is any of"),
    ],
)
def test_comparisons_that_fit_the_values_come_first(
    editor: Editor, expect: Expect, field: str, value: str | int, comparison: str
) -> None:
    for _ in range(3):
        UserFactory.create(metadata={field: value})
    editor.add().add_rule()
    condition = editor.say(1, 1, field)
    expect(condition.get_by_label("Comparison").locator("option").first).to_have_text(comparison)
