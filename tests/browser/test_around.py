"""Around a segment in a browser: a draft tested and opened, also without JavaScript; copies, lists, comparison."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Expect, Page

from featureflags.models import Segment, SegmentDraft
from tests.browser.conftest import (
    EDITOR,
    PHONE,
    VIEWER,
    CheckAccessibility,
    OpenPage,
    Shot,
    person_with,
)
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.services.flag_json import boolean_flag, segment_rule

PRO = [rule(clause("custom_plan", "in", "pro"), description="Pays")]


@pytest.fixture
def paying(transactional_db: None, flag_file: FlagFile) -> Segment:
    flag_file(boolean_flag("new-checkout", rules=[segment_rule("paying")]))
    UserFactory.create(name="Pia Pro", email="pia@example.com", metadata={"plan": "pro"})
    UserFactory.create(name="Tom Team", email="tom@example.com", metadata={"plan": "team"})
    SegmentFactory.create(key="germans", name="Germans")
    segment: Segment = SegmentFactory.create(
        key="paying", name="Paying", rules=PRO, tags=["checkout"]
    )
    return segment


def change(segment: Segment) -> str:
    return f"/admin/featureflags/segment/{segment.pk}/change/"


def test_one_person_is_tested_and_the_draft_opens_apart_by_keyboard_alone(
    open_page: OpenPage,
    paying: Segment,
    expect: Expect,
    check_accessibility: CheckAccessibility,
    shot: Shot,
) -> None:
    page = open_page(person_with(*EDITOR, name="Edith Editor"))
    page.goto(change(paying))
    page.get_by_role("button", name="Remove pro").press("Enter")
    page.get_by_label("Values", exact=True).press_sequentially("team,")
    expect(page.get_by_text("+1 enter", exact=True)).to_be_visible()
    who = page.get_by_label("Test one person")
    who.focus()
    page.keyboard.type("tom")
    page.keyboard.press("Enter")
    answer = page.get_by_role("region", name="Paying")
    expect(answer.get_by_text("Tom Team is in “paying”: rule 1 matches.")).to_be_visible()
    expect(page.get_by_text("they would enter")).to_be_visible()
    assert page.url.endswith("/change/")
    check_accessibility(page)
    shot(page, "around-test-one-person")
    page.get_by_role("button", name="Open as a draft").focus()
    with page.context.expect_page() as opened:
        page.keyboard.press("Enter")
    draft = opened.value
    expect(draft.get_by_role("heading", level=1)).to_have_text("Draft of paying")
    check_accessibility(draft)
    shot(draft, "around-draft")
    # The form stays as it was typed, and asks before it is left.
    expect(page.get_by_role("button", name="Remove team")).to_be_visible()
    draft.get_by_role("link", name="See everybody").press("Enter")
    expect(draft.get_by_role("row", name=re.compile("Pia Pro leaves"))).to_be_visible()
    expect(draft.get_by_role("row", name=re.compile("Tom Team enters"))).to_be_visible()
    check_accessibility(draft)
    shot(draft, "around-everybody")
    paying.refresh_from_db()
    assert paying.rules == PRO


def test_a_colleague_opens_the_address(
    open_page: OpenPage, paying: Segment, expect: Expect, check_accessibility: CheckAccessibility
) -> None:
    page = open_page(person_with(*EDITOR, name="Edith Editor"))
    page.goto(change(paying))
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Open as a draft").click()
    address = opened.value.get_by_label("Its address").input_value()
    colleague = open_page(person_with(*VIEWER), viewport=PHONE, color_scheme="dark")
    colleague.goto(address)
    expect(colleague.get_by_text("Kept by Edith Editor")).to_be_visible()
    expect(colleague.get_by_role("button", name="Open in the editor")).to_have_count(0)
    colleague.get_by_label("A part of a name").fill("pia")
    colleague.get_by_role("button", name="Test").press("Enter")
    expect(colleague.get_by_text("Pia Pro is in “paying”")).to_be_visible()
    check_accessibility(colleague)


def test_a_draft_without_javascript(open_page: OpenPage, paying: Segment, expect: Expect) -> None:
    page = open_page(person_with(*EDITOR), java_script_enabled=False)
    page.goto(change(paying))
    page.get_by_label("Name:", exact=True).fill("Payers")
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Open as a draft").click()
    draft = opened.value
    expect(draft.get_by_text("Name changed from “Paying” to “Payers”")).to_be_visible()
    draft.get_by_label("A part of a name").fill("@example.com")
    draft.get_by_role("button", name="Test").click()
    draft.get_by_role("button", name=re.compile("tom@example.com")).click()
    expect(draft.get_by_text("Tom Team is not in “paying”: no rule matches.")).to_be_visible()
    draft.get_by_role("button", name="Open in the editor").click()
    expect(draft.get_by_label("Name:", exact=True)).to_have_value("Payers")
    assert SegmentDraft.objects.count() == 1


def test_a_confirmation_says_what_users_get_before_and_after(
    superuser_page: Page,
    paying: Segment,
    expect: Expect,
    check_accessibility: CheckAccessibility,
    shot: Shot,
) -> None:
    page = superuser_page
    page.goto(change(paying))
    page.get_by_role("button", name="Remove pro").click()
    page.get_by_label("Values", exact=True).press_sequentially("team,")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="What they get of each flag")).to_be_visible()
    expect(page.get_by_text("All 2 who move were asked about.")).to_be_visible()
    for text in ("false → true: 1 tom@example.com", "true → false: 1 pia@example.com"):
        expect(page.get_by_role("listitem").filter(has_text=text).last).to_be_visible()
    check_accessibility(page)
    shot(page, "around-before-and-after")


def test_segments_are_compared_on_a_phone_in_the_dark_and_from_right_to_left(
    open_page: OpenPage,
    paying: Segment,
    expect: Expect,
    check_accessibility: CheckAccessibility,
    shot: Shot,
) -> None:
    page = open_page(person_with(*VIEWER), viewport=PHONE, color_scheme="dark")
    page.goto("/admin/featureflags/segment/overlap/")
    page.get_by_label("Segment A").select_option("paying")
    page.get_by_label("Segment B").select_option("germans")
    page.get_by_label("Segment C").select_option("employee")
    page.get_by_role("button", name="Compare").press("Enter")
    expect(page.get_by_role("img", name=re.compile("How the segments overlap"))).to_be_visible()
    check_accessibility(page)
    shot(page, "around-overlap-phone")
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not page.evaluate(wide)
    page.evaluate("document.documentElement.dir = 'rtl'")
    assert not page.evaluate(wide)
    check_accessibility(page)
    shot(page, "around-overlap-rtl")
    page.evaluate("document.documentElement.dir = 'ltr'")
    page.get_by_role("link", name="In paying, not in germans or employee").press("Enter")
    expect(page.get_by_role("row", name=re.compile("Pia Pro"))).to_be_visible()
    check_accessibility(page)


def test_the_list_is_filtered_and_segments_are_copied_and_frozen(
    superuser_page: Page,
    paying: Segment,
    expect: Expect,
    check_accessibility: CheckAccessibility,
    shot: Shot,
) -> None:
    page = superuser_page
    page.goto("/admin/featureflags/segment/?tag=checkout")
    expect(page.get_by_role("row", name=re.compile("paying"))).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("germans"))).to_have_count(0)
    check_accessibility(page)
    shot(page, "around-list")
    page.goto("/admin/featureflags/segment/more/paying/")
    check_accessibility(page)
    shot(page, "around-more")
    page.get_by_role("button", name="Duplicate").press("Enter")
    # Of three users it moves more than a tenth.
    page.get_by_role("button", name="Save").press("Enter")
    expect(page.get_by_text("“paying_copy” is a copy of “paying”.")).to_be_visible()
    page.get_by_role("link", name="More", exact=True).press("Enter")
    page.get_by_role("button", name="Freeze…").press("Enter")
    expect(page.get_by_text("Included 1 user")).to_be_visible()
    check_accessibility(page)
    page.get_by_role("button", name="Freeze", exact=True).press("Enter")
    expect(page.get_by_text("It is a list now")).to_be_visible()
