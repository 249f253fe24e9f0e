"""A change of a segment in use, from the first thought to the way back, by two people and the clock.

Mia proposes it for tomorrow, Ben approves it, the clock makes it, a user is explained, and it is undone. Each
step leaves a picture.
"""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone
from playwright.sync_api import Expect, Page
from pytest_django.fixtures import Settings

from featureflags.editing import make_due
from featureflags.models import HistoryEntry, PlannedChange, Segment
from tests.browser.conftest import (
    EDITOR,
    PHONE,
    VIEWER,
    CheckAccessibility,
    OpenPage,
    Shot,
    person_with,
)
from tests.browser.editing import Editor
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.api.using import use
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

PRO = [rule(clause("custom_plan", "in", "pro"))]
State = PlannedChange.State


@pytest.fixture
def segment(transactional_db: None, flag_file: FlagFile, settings: Settings) -> Segment:
    use(settings, APPROVE_LIVE_SEGMENTS=True)
    flag_file(boolean_flag("new-checkout", rules=[segment_rule("premium")]))
    for name, country in (("Paula Park", "DE"), ("Theo Traut", "DE"), ("Amélie Aube", "FR")):
        UserFactory.create(
            name=name,
            email=f"{name.split()[0].lower().replace('é', 'e')}@example.com",
            metadata={"plan": "pro", "country": country},
        )
    return SegmentFactory.create(key="premium", name="Premium", rules=PRO)


@pytest.fixture
def mia(transactional_db: None) -> User:
    return person_with(*EDITOR, email="mia@agpt.co", name="Mia Manager")


@pytest.fixture
def ben(transactional_db: None) -> User:
    return person_with(*VIEWER, "approve_plannedchange", email="ben@agpt.co", name="Ben Boss")


def test_a_change_is_proposed_approved_made_by_the_clock_and_undone(
    segment: Segment,
    mia: User,
    ben: User,
    open_page: OpenPage,
    expect: Expect,
    shot: Shot,
    check_accessibility: CheckAccessibility,
) -> None:
    page = open_page(mia)
    narrow_down(page, segment)
    shot(page, "proposing-1-the-form")
    page.get_by_role("button", name="Propose", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("somebody else must approve this change")
    page.get_by_label("Note for the history").fill("Only Germany, for the launch")
    page.get_by_label("Not before:").fill(tomorrow())
    check_accessibility(page)
    shot(page, "proposing-2-the-question")
    page.get_by_role("button", name="Propose", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("is proposed for")
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    check_accessibility(page)
    shot(page, "proposing-3-her-own-proposal")
    page.goto(f"/admin/featureflags/segment/{segment.pk}/change/")
    expect(page.get_by_role("status").first).to_contain_text("A change of this segment waits")
    expect(page.get_by_text("Bring them back")).to_have_count(0)

    boss = open_page(ben)
    boss.goto("/admin/")
    boss.get_by_role("link", name="Proposed changes").first.click()
    check_accessibility(boss)
    shot(boss, "proposing-4-the-list")
    boss.get_by_role("link", name="premium, proposal").click()
    expect(boss.get_by_role("main")).to_contain_text("Amélie Aube")
    boss.get_by_label("Comment:").fill("Why not Austria?")
    boss.get_by_role("button", name="Comment").click()
    expect(boss.get_by_role("main")).to_contain_text("Why not Austria?")
    boss.get_by_role("button", name="Approve").click()
    expect(boss.locator(".messagelist")).to_contain_text("It is made when it is due")
    check_accessibility(boss)
    shot(boss, "proposing-5-approved")

    user = User.objects.get(email="amelie@example.com")
    page.goto(f"/admin/featureflags/segment/user-context/{user.pk}/")
    expect(page.get_by_role("main")).to_contain_text("Leaves premium")
    shot(page, "proposing-6-what-changes-next")
    assert Segment.objects.get(key="premium").rules == PRO

    come()
    page.goto(f"/admin/featureflags/segment/why/segment/premium/{user.pk}/")
    title = "Why is Amélie Aube not in premium?"
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    page.goto("/admin/featureflags/segment/history/premium/")
    expect(page.get_by_role("main")).to_contain_text("approved by Ben Boss")
    check_accessibility(page)
    shot(page, "proposing-7-the-history")
    page.get_by_role("link", name="Restore this version").click()
    page.get_by_role("button", name="Propose").click()
    expect(page.get_by_role("main")).to_contain_text("Waits for approval")
    boss.goto(page.url)
    boss.get_by_role("button", name="Approve").click()
    expect(boss.locator(".messagelist")).to_contain_text("The change is made")
    (stored,) = Segment.objects.get(key="premium").rules
    assert [each["attribute"] for each in stored["clauses"]] == ["custom_plan"]
    entry = HistoryEntry.objects.latest("pk")
    assert (entry.actor, entry.approved_by) == (mia, ben)


def narrow_down(page: Page, segment: Segment) -> None:
    page.goto(f"/admin/featureflags/segment/{segment.pk}/change/")
    editor = Editor(page)
    editor.add_condition(1)
    editor.values(editor.say(1, 2, "country", "is any of")).fill("DE")


def tomorrow() -> str:
    return (timezone.localtime() + datetime.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")


def come() -> None:
    """As if it were tomorrow."""
    now = timezone.now()
    PlannedChange.objects.update(due_at=now, next_attempt_at=now)
    assert make_due().applied == 1


def test_without_scripts_in_the_dark_on_a_phone(
    segment: Segment,
    mia: User,
    ben: User,
    open_page: OpenPage,
    expect: Expect,
    shot: Shot,
    flag_file: FlagFile,
) -> None:
    plain = {"java_script_enabled": False, "viewport": PHONE, "color_scheme": "dark"}
    page = open_page(mia, **plain)
    page.goto(f"/admin/featureflags/segment/{segment.pk}/change/")
    page.get_by_label("Active").uncheck()
    page.get_by_role("button", name="Save at …").click()
    page.get_by_label("Not before:").fill(tomorrow())
    page.get_by_label("Type the key").fill("premium")
    shot(page, "proposing-phone-the-question")
    page.get_by_role("button", name="Propose").click()
    expect(page.get_by_role("main")).to_contain_text("Waits for approval")
    shot(page, "proposing-phone-her-own-proposal")
    boss = open_page(ben, **plain)
    boss.goto(page.url)
    boss.get_by_label("Type the key").fill("premium")
    shot(boss, "proposing-phone-to-approve")
    boss.get_by_role("button", name="Approve").click()
    expect(boss.get_by_role("main")).to_contain_text("Scheduled")
    assert PlannedChange.objects.get().state == State.SCHEDULED


def test_with_the_keyboard_alone(
    segment: Segment, mia: User, ben: User, open_page: OpenPage, expect: Expect
) -> None:
    page = open_page(mia)
    narrow_down(page, segment)
    page.get_by_role("button", name="Propose", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Please confirm: premium")).to_be_visible()
    page.get_by_role("button", name="Propose", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_contain_text("Waits for approval")
    boss = open_page(ben)
    boss.goto(page.url)
    boss.get_by_label("Comment:").focus()
    for _key in range(3):
        boss.keyboard.press("Tab")
        if boss.evaluate("document.activeElement.value") == "approve":
            break
    boss.keyboard.press("Enter")
    expect(boss.locator(".messagelist")).to_contain_text("The change is made")
