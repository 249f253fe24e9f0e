"""A change of a segment in use, from the first thought to the way back, by two people and the clock.

Mia narrows “premium” down to a stable fifth of those in Germany who were active in the last 14 days, and tests a
colleague against the draft. She proposes it for tomorrow, Ben sees what users get before and after, and
approves it. The clock makes it, a user is explained, it is compared with another segment, and undone. Each
step leaves a picture.
"""

from __future__ import annotations

import datetime
import uuid

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
from tests.browser.keyboard import Keyboard
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
    people = (("Paula Park", "DE", 5), ("Theo Traut", "DE", 2), ("Amélie Aube", "FR", 3))
    for name, country, number in people:
        UserFactory.create(
            # The buckets of Paula and Theo in this segment are 0.5 % and 88.9 %.
            pk=uuid.UUID(int=number),
            last_seen_at=timezone.now(),
            name=name,
            email=f"{name.split()[0].lower().replace('é', 'e')}@example.com",
            metadata={"plan": "pro", "country": country},
        )
    SegmentFactory.create(
        key="germans", name="Germans", rules=[rule(clause("custom_country", "in", "DE"))]
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
    try_two_colleagues(page, expect)
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
    with boss.expect_navigation():
        boss.get_by_role("link", name="Proposed changes").first.click()
    check_accessibility(boss)
    shot(boss, "proposing-4-the-list")
    boss.get_by_role("link", name="premium, proposal").click()
    expect(boss.get_by_role("main")).to_contain_text("Amélie Aube")
    expect(boss.get_by_role("main")).to_contain_text("true → false: 2")
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
    theo = User.objects.get(email="theo@example.com")
    page.goto(f"/admin/featureflags/segment/why/segment/premium/{theo.pk}/")
    expect(page.get_by_role("main")).to_contain_text("88.876 %")
    compare_with_germans(page, expect)
    shot(page, "proposing-7-compared")
    page.goto("/admin/featureflags/segment/history/premium/")
    expect(page.get_by_role("main")).to_contain_text("approved by Ben Boss")
    check_accessibility(page)
    shot(page, "proposing-8-the-history")
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
    """A stable fifth of those in Germany who were active in the last 14 days."""
    editor = Editor(page).open(segment)
    editor.add_condition(1)
    editor.values(editor.say(1, 2, "country", "is any of")).fill("DE")
    editor.add_condition(1)
    seen = editor.say(1, 3, "Last seen", "is in the last")
    seen.get_by_label("Value: Number").fill("14")
    seen.get_by_label("Value: Unit").select_option(label="days")
    editor.rule(1).get_by_role("button", name="Take only a percentage of them").click()
    editor.rule(1).get_by_label("Percentage of rule 1: per cent").fill("20")


def try_two_colleagues(page: Page, expect: Expect) -> None:
    for name, answer in (("paula", "is in “premium”"), ("theo", "is not in “premium”")):
        page.get_by_label("Test one person").fill(name)
        page.get_by_label("Test one person").press("Enter")
        expect(page.get_by_role("region", name="Premium")).to_contain_text(answer)


def compare_with_germans(page: Page, expect: Expect) -> None:
    page.goto("/admin/featureflags/segment/overlap/")
    page.get_by_label("Segment A").select_option("premium")
    page.get_by_label("Segment B").select_option("germans")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("img", name="How the segments overlap")).to_be_visible()
    page.get_by_role("link", name="In germans, not in premium").click()
    expect(page.get_by_role("row", name="Theo Traut")).to_be_visible()


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
    """From the first page to the last. Ben has chosen all colours himself."""
    mias, bens = (
        Keyboard(open_page(mia)),
        Keyboard(open_page(ben, forced_colors="active")),
    )
    page, boss = mias.page, bens.page
    page.goto("/admin/")
    mias.press("Segments")
    mias.press("premium")
    narrow_down_with_keys(mias, expect)
    mias.press("Propose")
    mias.type("Note for the history", "Only Germany")
    mias.type("Not before", typed_tomorrow())
    mias.press("Propose")
    expect(page.locator(".messagelist")).to_contain_text("is proposed for")

    boss.goto("/admin/")
    bens.press("Proposed changes")
    bens.press("premium, proposal")
    expect(boss.get_by_role("main")).to_contain_text("true → false: 2")
    bens.type("Comment", "As agreed")
    bens.press("Approve")
    expect(boss.locator(".messagelist")).to_contain_text("It is made when it is due")
    come()

    page.goto("/admin/")
    mias.press("Why does somebody see this?")
    mias.type("User:", "theo@example.com")
    mias.to("Segment or flag")
    page.keyboard.type("premium")
    mias.press("Explain")
    expect(page.get_by_role("main")).to_contain_text("88.876 %")
    mias.press("Segments")
    mias.press("Compare segments")
    for part, name in (("Segment A", "Premium"), ("Segment B", "Germans")):
        mias.to(part)
        page.keyboard.type(name)
    mias.press("Compare")
    mias.press("In germans, not in premium")
    expect(page.get_by_role("row", name="Theo Traut")).to_be_visible()

    page.goto(f"/admin/featureflags/segment/{segment.pk}/change/")
    mias.press("History")
    mias.press("Restore this version")
    mias.press("Propose")
    boss.goto(page.url)
    bens.press("Approve")
    expect(boss.locator(".messagelist")).to_contain_text("The change is made")
    assert Segment.objects.get(key="premium").rules == PRO
    assert not mias.wrong + bens.wrong, "\n".join(mias.wrong + bens.wrong)


def narrow_down_with_keys(keys: Keyboard, expect: Expect) -> None:
    """As `narrow_down`, without the date."""
    page = keys.page
    keys.to("+ Add a condition")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Attribute", exact=True).last).to_be_focused()
    page.keyboard.type("country")
    keys.type("Values", "DE", end="Enter")
    keys.to("Take only a percentage of them")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Percentage of rule 1: per cent")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("20")
    keys.type("Test one person", "theo", end="Enter")
    expect(page.get_by_role("region", name="Premium")).to_contain_text("is not in “premium”")


def typed_tomorrow() -> str:
    """As the field takes it with the language of the browser itself, which is American."""
    return (timezone.localtime() + datetime.timedelta(days=1)).strftime("%m%d00%Y0900AM")
