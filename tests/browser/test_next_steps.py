"""From one page to the next: keys from names, remarks in the editor, estimates, and the rule that was asked for."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import Expect, Page, Request

from featureflags.audience import day_sample
from featureflags.audience.day_sample import draw
from featureflags.kinds.registry import user_kind
from featureflags.models import HistoryEntry
from tests.browser.conftest import CheckAccessibility, Shot
from tests.browser.editing import Editor, change
from tests.factories import SegmentFactory, UserFactory, clause, rule
from users.models import User


def test_the_key_is_proposed_from_the_name(editor_page: Page, expect: Expect) -> None:
    page = Editor(editor_page).add().page
    labels = page.locator("fieldset").first.locator("label").all_text_contents()
    assert [text.strip(" :\n") for text in labels[:2]] == ["Name", "Key"]
    page.get_by_label("Name:").press_sequentially("Paying customers, 2026")
    expect(page.get_by_label("Key:")).to_have_value("paying-customers-2026")
    expect(page.locator(".field-key .help")).to_contain_text("cannot change once")
    page.get_by_label("Key:").fill("paying")
    page.get_by_label("Name:").press_sequentially("!")
    expect(page.get_by_label("Key:")).to_have_value("paying")


def test_fields_that_nobody_has_and_rules_that_repeat_are_named(
    editor_page: Page, expect: Expect, shot: Shot, check_accessibility: CheckAccessibility
) -> None:
    UserFactory.create_batch(3, metadata={"country": "DE", "seats": 5})
    germans = rule(clause("custom_contry", "in", "DE"))
    segment = SegmentFactory.create(
        rules=[germans, germans, rule(clause("custom_x", "exists", True))]
    )
    editor = Editor(editor_page).open(segment)
    expect(editor.condition(1, 1)).to_contain_text("nobody has the field")
    expect(editor.condition(1, 1)).to_contain_text('Is \u2068"country"\u2069 meant?')
    expect(editor.condition(3, 1)).not_to_contain_text("meant?")
    expect(editor.rule(2)).to_contain_text("The same as rule 1: one of them is enough.")
    expect(editor.rule(1)).not_to_contain_text("The same as")
    check_accessibility(editor.page)
    shot(editor.page, "editor-remarks")
    editor.say(1, 1, "country")
    expect(editor.condition(1, 1)).not_to_contain_text("nobody has")
    expect(editor.rule(2)).not_to_contain_text("The same as")
    # Comparisons of numbers come first where most values are numbers.
    seats = editor.say(1, 1, "seats").get_by_label("Comparison").locator("option")
    expect(seats.first).to_have_text("is at least")


def test_an_estimate_comes_first_and_the_exact_number_replaces_it(
    editor_page: Page, expect: Expect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day_sample, "SIZES", (50, 100, 150))
    User.objects.bulk_create(
        User(email=f"{n}@example.com", metadata={"plan": "pro" if n % 2 else "free"})
        for n in range(600)
    )
    draw(user_kind())
    page = editor_page
    asked: list[Request] = []
    page.on("request", lambda one: asked.append(one) if "/preview/" in one.url else None)
    editor = Editor(page).open(
        SegmentFactory.create(rules=[rule(clause("custom_plan", "in", "pro"))])
    )
    expect(editor.impact).to_contain_text("300 users match")
    expect(editor.impact).not_to_have_attribute("aria-busy", "true")
    assert ["quick" in (one.post_data or "") for one in asked] == [True, False]


def test_a_link_opens_the_editor_at_a_rule(
    editor_page: Page, expect: Expect, shot: Shot, check_accessibility: CheckAccessibility
) -> None:
    ann = UserFactory.create(name="Ann", email="ann@example.com")
    rules = [rule(clause("name", "in", f"Nobody {n}")) for n in range(12)]
    segment = SegmentFactory.create(key="vip", rules=[*rules, rule(clause("name", "in", "ann"))])
    page = editor_page
    page.goto(reverse("admin:featureflags_why_segment", args=["vip", ann.pk]))
    expect(page.get_by_text("It differs only in upper and lower case.")).to_be_visible()
    check_accessibility(page)
    shot(page, "why-next-steps")
    page.get_by_role("link", name="Open rule 13").click()
    thirteenth = Editor(page).rule(13)
    expect(thirteenth).to_be_in_viewport()
    focused = page.evaluate("document.activeElement.closest('.rule').id")
    assert focused == "rule-13"
    assert page.url.endswith(f"{change(segment)}#rule-13")
    page.goto(reverse("admin:featureflags_why_segment", args=["vip", ann.pk]))
    page.get_by_role("button", name="Include by name").click()
    expect(page.get_by_text("ann@example.com").first).to_be_visible()


def test_a_warning_is_accepted_with_a_note(
    editor_page: Page, expect: Expect, shot: Shot, check_accessibility: CheckAccessibility
) -> None:
    segment = SegmentFactory.create(rules=[rule(clause("email_domain", "in", "agpt.co"))])
    page = Editor(editor_page).open(segment).page
    warning = page.get_by_role("region", name="Before this grants anything")
    expect(warning).to_contain_text("it tests only what users write themselves (E-mail domain)")
    check_accessibility(page)
    shot(page, "rule-warning")
    warning.get_by_label("It is safe, because").fill("It only shows a banner.")
    warning.get_by_role("button", name="Do not warn again").click()
    expect(page.get_by_text("The note is in the history.")).to_be_visible()
    expect(warning).to_have_count(0)
    assert HistoryEntry.objects.latest("pk").note == "It only shows a banner."
