"""The editor of rules: build, change, undo, and what is wrong said where it is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable

from playwright.sync_api import Expect, Page

from featureflags.contexts.attributes import catalogue
from featureflags.segments.attribute_types import OPERATORS_BY_TYPE, AttributeType
from featureflags.segments.operator_labels import label_for
from tests.browser.editing import Editor, stored, stored_clauses
from tests.browser.rule_pages import PLAN
from tests.factories import SegmentFactory, clause, rule


def test_a_segment_is_built_by_keyboard_alone(editor: Editor, expect: Expect) -> None:
    page, keys = editor.add().page, editor.page.keyboard
    expect(page.get_by_label("Name:")).to_be_focused()
    keys.type("Payers")
    keys.press("Tab")
    expect(page.get_by_label("Key:")).to_have_value("payers")
    add_rule = page.get_by_role("button", name="Add a rule")
    for _ in range(6):
        keys.press("Tab")
        if add_rule.evaluate("button => button === document.activeElement"):
            break
    expect(add_rule).to_be_focused()
    keys.press("Enter")
    expect(editor.condition(1, 1).get_by_label("Attribute", exact=True)).to_be_focused()
    keys.type("plan")
    keys.press("Tab")
    keys.type("is any")
    keys.press("Tab")
    keys.type("pro, team")
    keys.press("Enter")
    assert editor.chips(editor.condition(1, 1)) == ["pro", "team"]
    add = editor.rule(1).get_by_role("button", name="Add a condition")
    for _ in range(10):
        keys.press("Tab")
        if add.evaluate("button => button === document.activeElement"):
            break
    keys.press("Enter")
    keys.type("role")
    keys.press("Tab")
    keys.press("Tab")
    keys.press("Space")
    save = page.get_by_role("button", name="Save", exact=True)
    for _ in range(20):
        keys.press("Tab")
        if save.evaluate("button => button === document.activeElement"):
            break
    with page.expect_navigation():
        keys.press("Enter")
    assert stored_clauses("payers") == [
        {**PLAN, "values": ["pro", "team"]},
        {"attribute": "role", "op": "in", "values": ["admin"], "negate": False},
    ]


def test_rules_read_as_sentences(editor: Editor, expect: Expect) -> None:
    rules = [
        rule(clause("custom_plan", "in", "pro"), clause("email_verified", "in", True)),
        rule(clause("role", "in", "admin"), description="The administrators"),
    ]
    editor.open(SegmentFactory.create(rules=rules))
    words = editor.page.locator(".rule-word:visible, .rule-or:visible")
    expect(words).to_have_text(["If", "and", "or", "If"])
    second = editor.condition(1, 2)
    expect(second.get_by_label("Attribute", exact=True).locator(":checked")).to_have_text(
        "E-mail verified"
    )
    expect(second.get_by_label("Value").locator(":checked")).to_have_text("true")
    expect(editor.rule(2).get_by_label("What this rule is for")).to_have_value("The administrators")
    expect(editor.condition(2, 1).get_by_label("Administrator")).to_be_checked()


def test_each_attribute_offers_what_fits_its_type_and_the_negation_of_it(editor: Editor) -> None:
    editor.add().add_rule()
    condition = editor.condition(1, 1)
    attributes = condition.get_by_label("Attribute", exact=True)
    for attribute in catalogue().values():
        attributes.select_option(label=str(attribute.label))
        offered = condition.get_by_label("Comparison").locator("option").all_text_contents()
        values = [True] if attribute.type is AttributeType.BOOLEAN else []
        infos = [label_for(op, values) for op in OPERATORS_BY_TYPE[attribute.type]]
        assert offered == [
            label
            for info in infos
            if info is not None
            for label in (info.label, info.negated_label)
        ]
    assert condition.get_by_role("checkbox").filter(has_text="egate").count() == 0


def test_a_rule_is_duplicated_moved_removed_and_brought_back(
    editor: Editor, expect: Expect, watch_status: Callable[[Page], str]
) -> None:
    rules = [rule(PLAN, id="first", description="One"), rule(clause("role", "in", "admin"))]
    segment = SegmentFactory.create(rules=rules)
    page = editor.open(segment).page
    page.get_by_role("button", name="Duplicate rule 1").click()
    expect(editor.condition(2, 1).get_by_label("Attribute", exact=True)).to_be_focused()
    page.get_by_role("button", name="Move rule 3 up").focus()
    page.keyboard.press("Enter")
    assert watch_status(page) == "Moved: it is now Rule 2."
    expect(page.get_by_role("button", name="Move rule 2 up")).to_be_focused()
    page.keyboard.press("Enter")
    # It is the first now and cannot go further up.
    expect(page.get_by_role("button", name="Move rule 1 down")).to_be_focused()
    page.get_by_role("button", name="Remove rule 3").click()
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_focused()
    page.keyboard.press("Enter")
    expect(editor.condition(3, 1).get_by_label("Attribute", exact=True)).to_be_focused()
    editor.save()
    role, original, copy = stored(segment.key)
    assert role["clauses"][0]["attribute"] == "role"
    assert original == rules[0]
    assert copy == {"description": "One", "clauses": [PLAN]}


def test_a_condition_is_moved_removed_and_brought_back_with_what_was_typed(
    editor: Editor, expect: Expect
) -> None:
    page = editor.add("typed").page
    editor.add_rule()
    editor.values(editor.say(1, 1, "Name", "contains")).fill("half typed")
    editor.add_condition(1)
    editor.say(1, 2, "Role").get_by_label("User", exact=True).check()
    page.keyboard.press("Alt+ArrowUp")
    expect(editor.condition(1, 1).get_by_label("User", exact=True)).to_be_focused()
    page.get_by_role("button", name="Remove condition 2 of rule 1").click()
    expect(editor.conditions).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(editor.values(editor.condition(1, 2))).to_have_value("half typed")
    editor.save()
    assert [each["values"] for each in stored_clauses("typed")] == [["user"], ["half typed"]]


def test_another_attribute_and_back_finds_the_values_again(editor: Editor) -> None:
    editor.add("back").add_rule()
    condition = editor.say(1, 1, "Name", "starts with")
    editor.values(condition).fill("Ann")
    editor.say(1, 1, "E-mail")
    assert condition.get_by_label("Comparison").input_value() == "startsWith"
    assert editor.chips(condition) == ["Ann"]
    editor.say(1, 1, "Account age in days")
    editor.say(1, 1, "Name", "starts with")
    editor.save()
    assert stored_clauses("back")[0]["values"] == ["Ann"]


def test_what_the_form_cannot_show_is_kept_to_the_letter(editor: Editor, expect: Expect) -> None:
    odd = [
        {"attribute": "/custom_address/city", "op": "in", "values": ["Ulm"], "contextKind": "user"},
        {"attribute": "custom_plan", "op": "in", "values": ["pro", 1], "negate": False},
        {"attribute": "custom_size", "op": "in", "values": [{"w": 1}]},
        {"attribute": "created_at", "op": "after", "values": [0, "2026-01-01T00:00:00Z"]},
    ]
    segment = SegmentFactory.create(rules=[{"id": "odd", "clauses": [*odd, PLAN]}])
    editor.open(segment)
    expect(editor.page.get_by_text("It is kept as it is.")).to_have_count(len(odd))
    expect(editor.condition(1, 1)).to_contain_text('"/custom_address/city"')
    editor.values(editor.condition(1, 5)).fill("team")
    editor.save()
    [saved] = stored(segment.key)
    assert saved == {"id": "odd", "clauses": [*odd, {**PLAN, "values": ["pro", "team"]}]}


def test_an_unchanged_form_saves_the_very_same_rules(editor: Editor) -> None:
    rules = [
        rule(
            {"attribute": "created_at", "op": "before", "values": ["2026-01-01T00:00:00.000123Z"]},
            {"attribute": "last_seen_at", "op": "after", "values": [1767225600000]},
            {"attribute": "name", "op": "matches", "values": ["a{1,2}", "b"], "negate": None},
            clause("", "segmentMatch", "employee", negate=True),
            clause("custom_plan", "exists", True),
        )
    ]
    segment = SegmentFactory.create(rules=rules)
    editor.open(segment)
    editor.page.get_by_label("Name:").fill("Renamed")
    editor.save()
    segment.refresh_from_db()
    assert (segment.name, segment.rules) == ("Renamed", rules)


def test_the_rules_are_edited_as_json_and_shown_in_the_form_again(
    editor: Editor, expect: Expect
) -> None:
    page = editor.add("text").page
    page.get_by_role("button", name="Edit as JSON").click()
    area = page.get_by_role("textbox", name="Rules")
    area.fill("[{")
    page.get_by_role("button", name="Back to the form").click()
    expect(page.get_by_role("alert").filter(has_text="The form cannot show")).to_be_visible()
    expect(area).to_have_value("[{")
    area.fill(json.dumps([{"clauses": [PLAN]}]))
    page.get_by_role("button", name="Back to the form").click()
    assert editor.chips(editor.condition(1, 1)) == ["pro"]
    editor.save()
    assert stored("text") == [{"clauses": [PLAN]}]
