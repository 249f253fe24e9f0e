"""Somebody who has never seen the code makes a segment, understands it, and takes a step back.

“Paying customers in Germany, signed up this year, without the interns”: who it is before saving,
why one colleague is missing, and the way back, all in the admin. Each step leaves a picture.
"""

from __future__ import annotations

import datetime

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone
from playwright.sync_api import Expect, Page

from featureflags.models import HistoryEntry
from tests.browser.conftest import EDITOR, CheckAccessibility, OpenPage, Shot, person_with
from tests.browser.editing import Editor, stored_clauses
from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.services.flag_json import boolean_flag, segment_rule

THIS_YEAR = timezone.localtime().year


@pytest.fixture
def people(transactional_db: None, flag_file: FlagFile) -> None:
    """Customers and colleagues; and a flag that waits for the segment."""
    flag_file(boolean_flag("new-checkout", rules=[segment_rule("german_customers")]))
    interns = Group.objects.create(name="interns")
    long_ago = timezone.now() - datetime.timedelta(days=800)
    for name, plan, country in (
        ("Paula Park", "pro", "DE"),
        ("Theo Traut", "team", "DE"),
        ("Ines Intern", "pro", "DE"),
        ("Clara Colleague", "team", "DE"),
        ("Fanny Frei", "free", "DE"),
        ("Amélie Aube", "pro", "FR"),
    ):
        user = UserFactory.create(
            name=name,
            email=f"{name.split()[0].lower().replace('é', 'e')}@example.com",
            metadata={"plan": plan, "country": country},
            created_at=long_ago if name.startswith("Clara") else timezone.now(),
        )
        if name.endswith("Intern"):
            user.groups.add(interns)
    person_with(*EDITOR, email="mia@agpt.co", name="Mia Manager", password="mias-own")


def test_a_segment_is_made_understood_and_taken_back(
    people: None,
    open_page: OpenPage,
    expect: Expect,
    shot: Shot,
    check_accessibility: CheckAccessibility,
) -> None:
    page = open_page()
    log_in_as_mia(page)
    editor = Editor(page)
    describe(editor)
    expect(editor.impact).to_contain_text("2 users match")
    expect(editor.impact.get_by_role("link")).to_have_text(["Paula Park", "Theo Traut"])
    check_accessibility(page)
    shot(page, "story-1-who-it-is-before-saving")

    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_role("heading", name="Please confirm: german_customers")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("new-checkout")
    shot(page, "story-2-asked-before-saving")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("was added successfully")
    saved = stored_clauses("german_customers")
    assert [each["attribute"] for each in saved] == [
        *("custom_plan", "custom_country", "created_at", "groups")
    ]

    page.get_by_role("link", name="Why?").click()
    page.get_by_label("User").fill("clara@example.com")
    page.get_by_role("button", name="Explain").click()
    title = "Why is Clara Colleague not in german_customers?"
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    check_accessibility(page)
    shot(page, "story-3-why-a-colleague-is-missing")

    page.get_by_role("link", name="german_customers").first.click()
    page.get_by_role("button", name="Remove condition 3 of rule 1").click()
    expect(editor.impact).to_contain_text("+1 enter")
    expect(editor.impact).to_contain_text("Clara Colleague")
    page.get_by_label("Note for the history").fill("Clara belongs to them")
    shot(page, "story-4-a-change-that-lets-her-in")
    editor.save("Save and continue editing")
    assert len(stored_clauses("german_customers")) == 3

    page.get_by_role("link", name="History").click()
    expect(page.get_by_role("main")).to_contain_text("Clara belongs to them")
    check_accessibility(page)
    shot(page, "story-5-the-history")
    with page.expect_navigation():
        page.get_by_role("link", name="Restore this version").click()
    shot(page, "story-6-back-to-the-first-version")
    page.get_by_role("button", name="Restore").click()
    expect(page.locator(".messagelist")).to_contain_text("was restored")
    assert stored_clauses("german_customers") == saved
    changes = HistoryEntry.objects.order_by("pk")
    assert [change.actor.name for change in changes if change.actor] == ["Mia Manager"] * 3


def log_in_as_mia(page: Page) -> None:
    page.goto("/admin/")
    page.get_by_label("E-mail address").fill("mia@agpt.co")
    page.get_by_label("Password").fill("mias-own")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Segments", exact=True).first.click()
    page.get_by_role("link", name="Add segment").click()


def describe(editor: Editor) -> None:
    """The sentence, condition by condition."""
    page = editor.page
    key = page.get_by_label("Key:")
    key.fill("german_customers")
    # As when a person leaves the field: from then on no key is proposed from the name.
    key.dispatch_event("change")
    page.get_by_label("Name:").fill("Paying customers in Germany")
    editor.add_rule()
    editor.values(editor.say(1, 1, "plan", "is any of")).fill("pro, team")
    editor.add_condition(1)
    editor.values(editor.say(1, 2, "country", "is any of")).fill("DE")
    editor.add_condition(1)
    this_year = editor.say(1, 3, "Account created", "is not before")
    this_year.get_by_label("Value: Date").fill(f"{THIS_YEAR}-01-01")
    editor.add_condition(1)
    editor.values(editor.say(1, 4, "Groups", "is not any of")).fill("interns")
