"""Confirmation before a segment is saved or deleted, stale edits, and restoring an older version."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse
from playwright.sync_api import Expect, Page

from featureflags.models import Segment
from featureflags.models.changesets import open_changeset
from tests.browser.conftest import PHONE, CheckAccessibility, OpenPage, Shot
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.services.flag_json import boolean_flag, segment_rule

PRO = [rule(clause("custom_plan", "in", "pro"), description="Pays")]
TEAM = [rule(clause("custom_plan", "in", "pro", "team"), description="Pays")]


@pytest.fixture
def paying(transactional_db: None, flag_file: FlagFile) -> Segment:
    flag_file(boolean_flag("new-checkout", rules=[segment_rule("paying")]))
    for number in range(7):
        UserFactory.create(email=f"team{number}@example.com", metadata={"plan": "team"})
    UserFactory.create(email="pro@example.com", metadata={"plan": "pro"})
    segment: Segment = SegmentFactory.create(key="paying", name="Paying customers", rules=PRO)
    return segment


def address(page: str, *parameters: object) -> str:
    return reverse(f"admin:featureflags_{page}", args=parameters)


def type_rules(page: Page, rules: object) -> None:
    """As JSON, past the form of the editor."""
    page.get_by_role("button", name="Edit as JSON").click()
    page.get_by_role("textbox", name="Rules").fill(json.dumps(rules))


def save(page: Page) -> None:
    """The page that follows is there then."""
    with page.expect_navigation():
        page.get_by_role("button", name="Save", exact=True).click()


def test_asked_before_saving_back_and_confirmed(
    editor_page: Page,
    paying: Segment,
    expect: Expect,
    check_accessibility: CheckAccessibility,
    shot: Shot,
) -> None:
    page = editor_page
    page.goto(address("segment_change", paying.pk))
    type_rules(page, TEAM)
    page.get_by_label("Note for the history").fill("Teams pay too")
    save(page)
    expect(page.get_by_role("heading", name="Please confirm: paying")).to_be_visible()
    expect(page.locator("#content-main")).to_contain_text("Flags that use it")
    expect(page.get_by_role("heading", name="Entering: +7")).to_be_visible()
    expect(page.get_by_text("and 2 more")).to_be_visible()
    check_accessibility(page)
    shot(page, "confirm")
    with page.expect_navigation():
        page.get_by_role("button", name="Back").click()
    expect(page.get_by_label("Note for the history")).to_have_value("Teams pay too")
    assert json.loads(page.locator("[name=rules]").input_value()) == TEAM
    assert Segment.objects.get(pk=paying.pk).rules == PRO
    save(page)
    expect(page.get_by_role("heading", name="Please confirm: paying")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")
    assert Segment.objects.get(pk=paying.pk).rules == TEAM


def test_a_stale_edit_shows_both_versions(
    editor_page: Page,
    paying: Segment,
    expect: Expect,
    check_accessibility: CheckAccessibility,
    shot: Shot,
) -> None:
    page = editor_page
    page.goto(address("segment_change", paying.pk))
    page.get_by_label("Name:").fill("Mine")
    theirs = Segment.objects.get(pk=paying.pk)
    theirs.name, theirs.description = "Theirs", "With words"
    with open_changeset(actor=UserFactory.create(name="Ada Adler")):
        theirs.save()
    save(page)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Somebody else has saved this segment while you were editing it")
    expect(alert).to_contain_text("Ada Adler")
    expect(alert).to_contain_text("Name changed from “Paying customers” to “Theirs”")
    expect(page.get_by_label("Name:")).to_have_value("Mine")
    expect(page.get_by_label("Description:")).to_have_value("With words")
    check_accessibility(page)
    shot(page, "stale-edit")
    page.get_by_role("button", name="Take theirs: Name").click()
    expect(page.get_by_label("Name:")).to_have_value("Theirs")
    page.get_by_label("Name:").fill("Ours")
    save(page)
    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")
    stored = Segment.objects.get(pk=paying.pk)
    assert (stored.name, stored.description) == ("Ours", "With words")


def test_deleted_by_typing_the_key_and_restored(
    editor_page: Page,
    paying: Segment,
    expect: Expect,
    check_accessibility: CheckAccessibility,
    shot: Shot,
) -> None:
    page = editor_page
    page.goto(address("segment_change", paying.pk))
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_role("heading", name="Delete paying?")).to_be_visible()
    page.get_by_label("Type the key").fill("payin")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("This is not the key.")).to_be_visible()
    check_accessibility(page)
    shot(page, "delete")
    page.get_by_label("Type the key").fill("paying")
    page.keyboard.press("Enter")
    expect(page.locator(".messagelist")).to_contain_text("was deleted successfully")
    with page.expect_navigation():
        page.get_by_role("link", name="Deleted segments").click()
    check_accessibility(page)
    with page.expect_navigation():
        page.get_by_role("link", name="Restore paying").click()
    check_accessibility(page)
    page.get_by_role("button", name="Restore").click()
    expect(page.locator(".messagelist")).to_contain_text("The segment “paying” was restored.")
    assert Segment.objects.get(key="paying").rules == PRO


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_older_version_is_compared_and_restored_on_a_phone(
    open_page: OpenPage,
    paying: Segment,
    expect: Expect,
    check_accessibility: CheckAccessibility,
    shot: Shot,
    scheme: str,
) -> None:
    paying.rules = TEAM
    with open_changeset(note="Teams pay too"):
        paying.save()
    root = UserFactory.create(superuser=True)
    page = open_page(root, viewport=PHONE, color_scheme=scheme)
    page.goto(address("segment_change", paying.pk))
    page.get_by_role("link", name="History").click()
    expect(page.get_by_text("Teams pay too")).to_be_visible()
    check_accessibility(page)
    shot(page, f"history-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("link", name="Compare with now").click()
    expect(page.get_by_role("heading", name="What differs")).to_be_visible()
    check_accessibility(page)
    shot(page, f"compare-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    with page.expect_navigation():
        page.get_by_role("link", name="Restore version 1").click()
    check_accessibility(page)
    shot(page, f"restore-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Restore").click()
    expect(page.locator(".messagelist")).to_contain_text("was restored")
    assert Segment.objects.get(pk=paying.pk).rules == PRO


def test_all_of_it_works_without_javascript(
    open_page: OpenPage, paying: Segment, expect: Expect
) -> None:
    page = open_page(UserFactory.create(superuser=True), java_script_enabled=False)
    page.goto(address("segment_change", paying.pk))
    page.get_by_role("textbox", name="Rules").fill(json.dumps(TEAM))
    save(page)
    with page.expect_navigation():
        page.get_by_role("button", name="Back").click()
    assert json.loads(page.get_by_role("textbox", name="Rules").input_value()) == TEAM
    save(page)
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")
    assert Segment.objects.get(pk=paying.pk).rules == TEAM
