"""The form of a segment: problems on it, leaving it, and using it on a phone, with a screen reader and without scripts."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Dialog, Expect

from featureflags.models import Segment
from tests.browser.conftest import PHONE, CheckAccessibility, OpenPage, Shot, person_with
from tests.browser.editing import Editor, stored, stored_clauses
from tests.browser.rule_pages import PLAN
from tests.factories import SegmentFactory, UserFactory, clause, rule


def test_problems_are_linked_from_the_top_and_shown_at_their_condition(
    editor: Editor, expect: Expect, shot: Shot, check_accessibility: CheckAccessibility
) -> None:
    Segment.objects.create(key="taken", name="Taken")
    page = editor.add("taken").page
    page.get_by_label("Name:").fill("")
    editor.add_rule()
    editor.values(editor.say(1, 1, "Name", "matches the expression")).fill("(")
    editor.add_condition(1)
    editor.add_rule()
    editor.values(editor.say(2, 1, "plan", "is any of")).fill("pro")
    editor.save()
    shot(page, "editor-errors")
    expect(editor.summary.get_by_role("listitem")).to_have_text(
        [
            "Name: This field is required.",
            "Key: Segment with this Key already exists.",
            re.compile(r'Rule 1, condition 1: "\(" is not a valid expression'),
            "Rule 1, condition 2: choose an attribute",
        ]
    )
    expect(editor.condition(1, 2).get_by_role("listitem")).to_have_text("choose an attribute")
    expect(editor.condition(2, 1).locator(".errorlist")).to_be_hidden()
    check_accessibility(page)
    page.get_by_role("link", name="Rule 1, condition 2: choose an attribute").click()
    expect(editor.condition(1, 2).get_by_label("Attribute", exact=True)).to_be_focused()
    # Nothing that was typed is lost, and what is mended is no longer called wrong.
    assert editor.chips(editor.condition(1, 1)) == ["("]
    assert editor.chips(editor.condition(2, 1)) == ["pro"]
    editor.say(1, 2, "Staff").get_by_label("Value").select_option("true")
    expect(editor.summary.get_by_role("listitem")).to_have_count(3)
    page.get_by_label("Key:").fill("free")
    page.get_by_label("Name:").fill("Free")
    page.get_by_role("button", name="Remove (").click()
    editor.values(editor.condition(1, 1)).fill("(x)")
    editor.save()
    assert stored("free")[0]["clauses"][0]["values"] == ["(x)"]


def test_an_invalid_number_and_half_a_date_are_not_sent(editor: Editor, expect: Expect) -> None:
    page = editor.add("numbers").page
    editor.add_rule()
    number = editor.say(1, 1, "Account age in days", "is less than")
    number.get_by_label("Value").fill("a week")
    editor.add_condition(1)
    date = editor.say(1, 2, "Account created", "is after")
    date.get_by_label("Value: Date").press_sequentially("01")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(number.get_by_role("listitem")).to_have_text('\u2068"a week"\u2069 is not a number.')
    expect(date.get_by_role("listitem")).to_have_text("Finish this date, or clear it.")
    expect(editor.summary.get_by_role("listitem")).to_have_count(2)
    number.get_by_label("Value").fill("7")
    date.get_by_label("Value: Date").fill("2026-01-01")
    editor.save()
    assert stored_clauses("numbers")[0]["values"] == [7]


def test_leaving_with_changes_asks_first(editor: Editor, expect: Expect) -> None:
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    segment = SegmentFactory.create(rules=[{"clauses": [PLAN]}])
    page = editor.open(segment).page
    page.on("dialog", stay)
    page.get_by_role("link", name="Home").click()
    expect(page).to_have_title(re.compile("Site administration"))
    assert asked == []
    editor.open(segment)
    editor.values(editor.condition(1, 1)).fill("team")
    page.get_by_role("link", name="Home").click()
    expect(editor.values(editor.condition(1, 1))).to_have_value("team")
    assert asked == ["beforeunload"]
    editor.save("Save and continue editing")
    page.get_by_role("link", name="Home").click()
    expect(page).to_have_title(re.compile("Site administration"))
    assert asked == ["beforeunload"]


def test_what_came_back_with_errors_is_not_saved_yet(editor: Editor, expect: Expect) -> None:
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page = editor.add("unsaved").page
    editor.add_rule()
    editor.save()
    page.on("dialog", stay)
    page.get_by_role("link", name="Home").click()
    expect(page.get_by_label("Key:")).to_have_value("unsaved")
    assert asked == ["beforeunload"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_form_is_accessible_in_the_light_and_in_the_dark(
    open_page: OpenPage,
    expect: Expect,
    check_accessibility: CheckAccessibility,
    shot: Shot,
    scheme: str,
) -> None:
    for number in range(3):
        UserFactory.create(name=f"Payer {number}", metadata={"plan": "pro"})
    rules = [
        rule(
            clause("custom_plan", "in", "pro", "team"),
            clause("created_at", "after", "2026-01-01T00:00:00Z"),
            clause("name", "contains", "intern", negate=True),
            description="Paying",
        ),
        rule(
            clause("role", "in", "admin"),
            clause("", "segmentMatch", "employee"),
            clause("email_verified", "in", True),
            {"attribute": "/custom_a/b", "op": "in", "values": [1], "contextKind": "user"},
        ),
    ]
    segment = SegmentFactory.create(key="all-inputs", rules=rules)
    editor = Editor(open_page(UserFactory.create(superuser=True), color_scheme=scheme))
    page = editor.open(segment).page
    page.get_by_role("button", name="Duplicate rule 2").click()
    page.get_by_role("button", name="Remove rule 3").click()
    expect(editor.impact).to_contain_text("Nobody enters or leaves")
    check_accessibility(page)
    shot(page, f"editor-{scheme}")


def test_the_form_is_usable_on_a_phone(
    open_page: OpenPage, expect: Expect, check_accessibility: CheckAccessibility, shot: Shot
) -> None:
    page = open_page(UserFactory.create(superuser=True), viewport=PHONE)
    editor = Editor(page).add("phone")
    editor.add_rule()
    editor.values(editor.say(1, 1, "Name", "does not match the expression")).fill("x" * 60)
    editor.add_condition(1)
    editor.say(1, 2, "Account created", "is not after")
    editor.condition(1, 2).get_by_label("Value: Date").fill("2026-01-01")
    editor.add_condition(1)
    editor.say(1, 3, "Another metadata field…").get_by_label("Name of the metadata field").fill("a")
    editor.values(editor.condition(1, 3)).fill("one, two, three")
    editor.values(editor.condition(1, 3)).press("Enter")
    expect(editor.impact).to_contain_text("0 users match")
    assert page.evaluate("() => document.documentElement.scrollWidth") == PHONE["width"]
    check_accessibility(page)
    shot(page, "editor-390px")
    editor.save()
    assert [each["attribute"] for each in stored_clauses("phone")] == [
        "name",
        "created_at",
        "custom_a",
    ]


def test_without_javascript_the_field_is_a_text_area_with_the_same_validation(
    open_page: OpenPage, expect: Expect
) -> None:
    user = UserFactory.create(superuser=True)
    page = open_page(user, java_script_enabled=False)
    editor = Editor(page).add("plain")
    area = page.get_by_label("Rules:")
    area.fill('[{"clauses": [{"attribute": "role", "op": "in"}]}]')
    editor.save()
    expect(page.locator(".field-rules .errorlist li")).to_have_text(
        "Rule 1, condition 1: add at least one value"
    )
    expect(area).to_have_value('[{"clauses": [{"attribute": "role", "op": "in"}]}]')
    expect(page.locator(".impact")).to_be_hidden()
    area.fill(json.dumps([{"clauses": [PLAN]}]))
    editor.save()
    assert stored("plain") == [{"clauses": [PLAN]}]


def test_who_may_only_look_reads_sentences_and_sees_the_preview(
    open_page: OpenPage, expect: Expect, shot: Shot, check_accessibility: CheckAccessibility
) -> None:
    UserFactory.create(name="Paula", metadata={"plan": "pro"})
    rules = [rule(PLAN, clause("name", "contains", "Ann", negate=True)), rule({**PLAN})]
    segment = SegmentFactory.create(rules=rules)
    page = open_page(person_with("view_segment", "view_user"))
    editor = Editor(page).open(segment)
    expect(page.locator(".rule-sentence")).to_have_text(
        [
            'If plan is any of "pro"',
            'and Name does not contain "Ann"',
            'If plan is any of "pro"',
        ]
    )
    expect(editor.impact).to_contain_text("1 user matches")
    expect(editor.impact.get_by_role("link", name="Paula")).to_be_visible()
    expect(page.get_by_role("button", name="Save", exact=True)).to_have_count(0)
    check_accessibility(page)
    shot(page, "segment-of-a-viewer")
