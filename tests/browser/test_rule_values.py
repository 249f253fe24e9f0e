"""Values of conditions: chips, numbers, dates where the site is, choices, segments, metadata."""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Callable

import pytest
from django.test import override_settings
from playwright.sync_api import Expect, Locator, Page

from tests.browser.editing import Editor, stored_clauses
from tests.factories import SegmentFactory, UserFactory, clause, rule


@pytest.fixture
def editor(editor_page: Page) -> Editor:
    return Editor(editor_page)


def paste(into: Locator, text: str) -> None:
    """Paste as a browser does it: the event first, and the text unless somebody took it."""
    into.focus()
    into.evaluate(
        """(input, text) => {
            const clipboardData = new DataTransfer();
            clipboardData.setData('text/plain', text);
            const event = new ClipboardEvent('paste', {
                clipboardData, bubbles: true, cancelable: true,
            });
            if (input.dispatchEvent(event)) {
                document.execCommand('insertText', false, text);
            }
        }""",
        text,
    )


def test_chips_are_made_by_enter_comma_and_paste_and_removed_by_backspace(
    editor: Editor, expect: Expect, watch_status: Callable[[Page], str]
) -> None:
    page = editor.add("chips").page
    editor.add_rule()
    condition = editor.say(1, 1, "E-mail domain", "is not any of")
    typed = editor.values(condition)
    typed.press_sequentially("a.example")
    typed.press("Enter")
    typed.press_sequentially("b.example,")
    assert editor.chips(condition) == ["a.example", "b.example"]
    paste(typed, "c.example, d.example\nb.example;e.example\t")
    everything = [f"{letter}.example" for letter in "abcde"]
    assert editor.chips(condition) == everything
    assert watch_status(page) == "3 values were added, 1 were there before."
    paste(typed, "alone")
    assert editor.chips(condition) == everything
    expect(typed).to_have_value("alone")
    for _ in "alone":
        typed.press("Backspace")
    assert editor.chips(condition) == everything
    typed.press("Backspace")
    assert editor.chips(condition) == everything[:-1]
    assert watch_status(page) == '\u2068"e.example"\u2069 was removed.'
    page.get_by_role("button", name="Remove a.example").click()
    expect(typed).to_be_focused()
    typed.press_sequentially('"Doe, Ann"')
    typed.press("Enter")
    # What is typed and no chip yet counts as well, once.
    typed.press_sequentially("f.example")
    editor.save()
    [saved] = stored_clauses("chips")
    assert saved["values"] == ["b.example", "c.example", "d.example", "doe, ann", "f.example"]
    assert saved["negate"] is True


def test_an_expression_keeps_its_commas(editor: Editor) -> None:
    editor.add("expression").add_rule()
    condition = editor.say(1, 1, "E-mail", "matches the expression")
    typed = editor.values(condition)
    typed.press_sequentially("^a{1,2}@")
    typed.press("Enter")
    paste(typed, "x{2,}\n^b")
    assert editor.chips(condition) == ["^a{1,2}@", "x{2,}", "^b"]
    editor.save()
    assert stored_clauses("expression")[0]["values"] == ["^a{1,2}@", "x{2,}", "^b"]


def test_a_negated_condition_says_who_is_left_out(editor: Editor, expect: Expect) -> None:
    editor.add().add_rule()
    condition = editor.say(1, 1, "Name", "does not contain")
    expect(condition).to_contain_text("Those without “Name” do not match.")
    editor.say(1, 1, "Name", "contains")
    expect(condition).not_to_contain_text("do not match")
    editor.say(1, 1, "Name", "is not known")
    expect(condition).not_to_contain_text("do not match")
    editor.say(1, 1, "The user (by segment)", "is not in segment")
    expect(condition).not_to_contain_text("do not match")
    # Every user has these, if only an empty list.
    for attribute in ("Groups", "Role"):
        editor.say(1, 1, attribute, "is not any of")
        expect(condition).not_to_contain_text("do not match")


def test_metadata_is_suggested_and_any_other_field_may_be_typed(
    editor: Editor, expect: Expect
) -> None:
    for number in range(3):
        metadata = {"plan": "pro", "seats": 5, "is_trial": True, "phone": f"01{number}"}
        UserFactory.create(metadata={**metadata, "mixed": number or "none"})
    editor.add("metadata").add_rule()
    condition = editor.say(1, 1, "plan", "is any of")
    suggested = condition.locator("datalist option").evaluate_all("all => all.map(o => o.value)")
    assert suggested == ["pro"]
    expect(condition.get_by_label("Type")).to_be_hidden()
    editor.values(condition).fill("pro")
    editor.add_condition(1)
    editor.values(editor.say(1, 2, "seats", "is any of")).fill("5, 10")
    editor.add_condition(1)
    editor.say(1, 3, "is_trial").get_by_label("Value").last.select_option("true")
    editor.add_condition(1)
    # A value that only one user has is never suggested.
    assert editor.say(1, 4, "phone").locator("datalist option").count() == 0
    editor.values(editor.condition(1, 4)).fill("010")
    editor.add_condition(1)
    mixed = editor.say(1, 5, "mixed", "is any of")
    expect(mixed.get_by_label("Type")).to_be_visible()
    mixed.get_by_label("Type").select_option(label="text")
    editor.values(mixed).fill("none")
    editor.add_condition(1)
    other = editor.say(1, 6, "Another metadata field…")
    other.get_by_label("Name of the metadata field").fill("custom_never seen")
    other.get_by_label("Comparison").select_option(label="is not known")
    editor.save()
    assert [(each["attribute"], each["values"]) for each in stored_clauses("metadata")] == [
        ("custom_plan", ["pro"]),
        ("custom_seats", [5, 10]),
        ("custom_is_trial", [True]),
        ("custom_phone", ["010"]),
        ("custom_mixed", ["none"]),
        ("custom_never seen", [True]),
    ]


def test_segments_are_chosen_by_name_and_never_oneself(editor: Editor, expect: Expect) -> None:
    segment = SegmentFactory.create(
        key="own", name="My own", rules=[rule(clause("", "segmentMatch", "employee"))]
    )
    editor.open(segment)
    condition = editor.condition(1, 1)
    first = condition.get_by_label("Values 1")
    expect(first.locator(":checked")).to_have_text("Employees (employee)")
    assert "My own (own)" not in first.locator("option").all_text_contents()
    condition.get_by_label("Values 2").select_option(label="New users (new_user)")
    condition.get_by_label("Values 3").select_option(label="Employees (employee)")
    editor.save()
    assert stored_clauses("own")[0]["values"] == ["employee", "new_user"]


@pytest.mark.parametrize(
    ("zone", "winter", "summer"),
    [
        ("Europe/Berlin", "2026-01-01T00:00:00+01:00", "2026-07-01T08:30:00+02:00"),
        ("UTC", "2026-01-01T00:00:00Z", "2026-07-01T08:30:00Z"),
        ("America/St_Johns", "2026-01-01T00:00:00-03:30", "2026-07-01T08:30:00-02:30"),
    ],
)
def test_dates_are_those_of_the_site_wherever_the_browser_is(
    editor: Editor, expect: Expect, zone: str, winter: str, summer: str
) -> None:
    with override_settings(TIME_ZONE=zone):
        editor.add("dates").add_rule()
        condition = editor.say(1, 1, "Account created", "is after")
        expect(condition).to_contain_text(f"in {zone}")
        condition.get_by_label("Value: Date").fill("2026-01-01")
        expect(condition.get_by_label("Value: Time")).to_have_value("00:00")
        editor.add_condition(1)
        second = editor.say(1, 2, "Last seen", "is not before")
        second.get_by_label("Value: Date").fill("2026-07-01")
        second.get_by_label("Value: Time").fill("08:30")
        editor.save("Save and continue editing")
        assert [each["values"] for each in stored_clauses("dates")] == [[winter], [summer]]
        expect(condition.get_by_label("Value: Date")).to_have_value("2026-01-01")
        expect(condition.get_by_label("Value: Time")).to_have_value("00:00")
        expect(second.get_by_label("Value: Time")).to_have_value("08:30")


def test_hours_that_are_missing_or_come_twice_are_those_of_python(editor: Editor) -> None:
    """Berlin: there is no 02:30 in March, there are two in October; the sun ruled until 1893."""
    editor.add()
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    for wall in (
        *("2026-03-29T01:59", "2026-03-29T02:30", "2026-03-29T03:00", "2026-03-29T03:30"),
        *("2026-10-25T01:59", "2026-10-25T02:30", "2026-10-25T03:00", "1890-06-01T12:00"),
    ):
        found = editor.page.evaluate(
            "([date, time]) => guidon.times.fromClock('Europe/Berlin', date, time)", wall.split("T")
        )
        expected = datetime.datetime.fromisoformat(wall).replace(tzinfo=zone)
        # As numbers: two zones never compare equal in such hours.
        assert datetime.datetime.fromisoformat(found).timestamp() == expected.timestamp(), wall


def test_an_instant_that_is_stored_is_shown_where_the_site_is(
    editor: Editor, expect: Expect
) -> None:
    rules = [
        rule(
            clause("created_at", "after", "2025-12-31T23:30:15.25Z"),
            clause("last_seen_at", "before", 1767225600000),
        )
    ]
    segment = SegmentFactory.create(key="shown", rules=rules)
    with override_settings(TIME_ZONE="Europe/Berlin"):
        editor.open(segment)
        expect(editor.condition(1, 1).get_by_label("Value: Date")).to_have_value("2026-01-01")
        expect(editor.condition(1, 1).get_by_label("Value: Time")).to_have_value("00:30:15")
        expect(editor.condition(1, 2).get_by_label("Value: Date")).to_have_value("2026-01-01")
        expect(editor.condition(1, 2).get_by_label("Value: Time")).to_have_value("01:00")
        editor.condition(1, 1).get_by_label("Value: Date").fill("")
        editor.save()
        expect(editor.summary).to_contain_text("Rule 1, condition 1: add at least one value")
        editor.condition(1, 1).get_by_label("Value: Date").fill("2026-02-01")
        editor.save()
    [first, second] = stored_clauses("shown")
    assert first["values"] == ["2026-02-01T00:00:00+01:00"]
    assert second["values"] == [1767225600000]
