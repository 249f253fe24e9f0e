"""Faults that an editor like this one had while it was tried; none of them may come back."""

from __future__ import annotations

import re

from playwright.sync_api import Expect, Page, Route

from tests.browser.editing import Editor, stored_clauses
from tests.factories import SegmentFactory, UserFactory, clause, rule

PLAN = clause("custom_plan", "in", "pro")


def test_typing_ahead_in_a_list_is_not_broken_by_drawing_it_anew(
    editor_page: Page, expect: Expect
) -> None:
    editor = Editor(editor_page).add()
    editor.add_rule()
    attributes = editor.condition(1, 1).get_by_label("Attribute", exact=True)
    attributes.focus()
    same = attributes.element_handle()
    # Each letter changes the choice: "Name", then nothing else by that name.
    editor_page.keyboard.type("account age")
    assert same.evaluate("list => list.isConnected && list === document.activeElement")
    expect(attributes).to_have_value("account_age_days")
    comparisons = editor.condition(1, 1).get_by_label("Comparison")
    comparisons.focus()
    same = comparisons.element_handle()
    editor_page.keyboard.type("is not at m")
    assert same.evaluate("list => list.isConnected && list === document.activeElement")
    expect(comparisons).to_have_value("!lessThanOrEqual")


def test_a_click_on_save_is_not_swallowed_by_text_that_becomes_a_chip(editor_page: Page) -> None:
    editor = Editor(editor_page).add("clicked")
    editor.add_rule()
    condition = editor.say(1, 1, "E-mail domain", "is any of")
    for text in ("one.example", "two.example"):
        editor.values(condition).press_sequentially(f"{text},")
    editor.values(condition).press_sequentially("a-rather-long-domain.example")
    save = editor_page.get_by_role("button", name="Save", exact=True)
    save.scroll_into_view_if_needed()
    before = save.bounding_box()
    assert before is not None
    # Pressed and released by hand: what moves under the pointer in between loses the click.
    editor_page.mouse.move(before["x"] + before["width"] / 2, before["y"] + 2)
    editor_page.mouse.down()
    assert save.bounding_box() == before
    with editor_page.expect_navigation():
        editor_page.mouse.up()
    assert stored_clauses("clicked")[0]["values"][-1] == "a-rather-long-domain.example"


def test_the_editor_waits_for_its_children_where_its_script_runs_before_them(
    editor_page: Page, expect: Expect
) -> None:
    def at_once(route: Route) -> None:
        answer = route.fetch()
        body = answer.text()
        assert " defer" in body
        route.fulfill(response=answer, body=re.sub(r"(rule_editor/\w+\.js\") defer", r"\1", body))

    segment = SegmentFactory.create(rules=[rule(PLAN)])
    editor_page.route("**/change/", at_once)
    editor = Editor(editor_page).open(segment)
    scripts = editor_page.locator("head script[src*='rule_editor/']")
    assert scripts.evaluate_all("all => all.length > 1 && all.every(one => !one.defer)")
    assert editor.chips(editor.condition(1, 1)) == ["pro"]
    expect(editor.impact).to_contain_text("0 users match")


def test_no_difference_is_shown_while_a_rule_is_unfinished(
    editor_page: Page, expect: Expect
) -> None:
    for _ in range(3):
        UserFactory.create(metadata={"plan": "pro"})
    editor = Editor(editor_page).open(SegmentFactory.create(rules=[rule(PLAN)]))
    expect(editor.impact).to_contain_text("3 users match")
    editor.add_condition(1)
    expect(editor.impact).to_contain_text("Not finished yet")
    expect(editor.impact).to_contain_text("Rule 1, condition 2: choose an attribute")
    expect(editor.impact).not_to_contain_text("leave")
    expect(editor.impact).not_to_contain_text("3 users")
    editor.say(1, 2, "E-mail verified").get_by_label("Value").select_option("true")
    expect(editor.impact).to_contain_text("Nobody enters or leaves")


def test_values_typed_in_one_rule_outlive_the_removal_of_another(editor_page: Page) -> None:
    editor = Editor(editor_page).open(SegmentFactory.create(key="kept", rules=[rule(PLAN)]))
    editor.add_rule()
    editor.values(editor.say(2, 1, "Name", "contains")).fill("typed")
    editor_page.get_by_role("button", name="Remove rule 1").click()
    editor.save()
    assert [each["values"] for each in stored_clauses("kept")] == [["typed"]]
