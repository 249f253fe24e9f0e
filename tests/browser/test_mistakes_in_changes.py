"""What goes wrong around a change in a browser: a session that ends while proposing, and one without permission."""

from __future__ import annotations

import pytest
from playwright.sync_api import Expect, Page
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from featureflags.models import PlannedChange, Segment, SegmentDraft
from tests.browser.conftest import (
    EDITOR,
    VIEWER,
    CheckAccessibility,
    OpenPage,
    Shot,
    log_in,
    person_with,
)
from tests.browser.editing import Editor
from tests.browser.watching import Watch
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.api.using import use
from tests.services.flag_json import boolean_flag, segment_rule
from users.models import User

PRO = [rule(clause("custom_plan", "in", "pro"))]


@pytest.fixture
def segment(transactional_db: None, flag_file: FlagFile, settings: Settings) -> Segment:
    use(settings, APPROVE_LIVE_SEGMENTS=True)
    flag_file(boolean_flag("new-checkout", rules=[segment_rule("premium")]))
    for plan in ("pro", "team", "team"):
        UserFactory.create(metadata={"plan": plan})
    return SegmentFactory.create(key="premium", name="Premium", rules=PRO)


@pytest.fixture
def mia(transactional_db: None) -> User:
    return person_with(*EDITOR, email="mia@agpt.co", name="Mia Manager")


def take_teams_too(page: Page, segment: Segment) -> Editor:
    editor = Editor(page).open(segment)
    editor.values(editor.condition(1, 1)).press_sequentially("team,")
    return editor


def test_the_session_ends_while_proposing(
    segment: Segment,
    mia: User,
    open_page: OpenPage,
    live_server: LiveServer,
    expect: Expect,
    shot: Shot,
    watch: Watch,
) -> None:
    # What the editor asks by itself a moment after a change may meet the end of the session.
    watch.allow("403.*(preview|lint)")
    page = open_page(mia)
    editor = take_teams_too(page, segment)
    page.get_by_label("Note for the history").fill("Teams pay too")
    page.context.clear_cookies()
    page.get_by_role("button", name="Propose", exact=True).click()
    note = page.get_by_role("alert").filter(has_text="logged out")
    expect(note).to_be_visible()
    assert editor.chips(editor.condition(1, 1)) == ["pro", "team"]
    # In another tab she logs in again, and goes on here.
    log_in(page.context, live_server.url, mia)
    page.get_by_role("button", name="Propose", exact=True).click()
    expect(page.get_by_role("heading", name="Please confirm: premium")).to_be_visible()
    page.get_by_label("Not before:").fill("2027-06-01T09:00")
    page.context.clear_cookies()
    page.get_by_role("button", name="Propose", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="logged out")).to_be_visible()
    shot(page, "mistakes-logged-out-while-proposing")
    log_in(page.context, live_server.url, mia)
    page.get_by_role("button", name="Propose", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("Waits for approval")
    plan = PlannedChange.objects.get()
    assert (plan.note, plan.author) == ("Teams pay too", mia)
    assert plan.due_at is not None


def test_a_draft_of_somebody_who_may_not_open_it(
    segment: Segment,
    mia: User,
    open_page: OpenPage,
    expect: Expect,
    shot: Shot,
    watch: Watch,
    check_accessibility: CheckAccessibility,
) -> None:
    page = open_page(mia)
    take_teams_too(page, segment)
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Open as a draft").click()
    address = opened.value.get_by_label("Its address").input_value()
    stranger = open_page()
    stranger.goto(address)
    expect(stranger.get_by_label("Password")).to_be_visible()
    assert "next=" in stranger.url
    watch.expect("403")
    colleague = open_page(person_with(email="cara@agpt.co", name="Cara"))
    answer = colleague.goto(address)
    assert answer is not None
    assert answer.status == 403
    shot(colleague, "mistakes-draft-forbidden")
    assert "premium" not in colleague.content()
    SegmentDraft.objects.all().delete()
    watch.expect("404")
    viewer = open_page(person_with(*VIEWER, email="vito@agpt.co"))
    answer = viewer.goto(address)
    assert answer is not None
    assert answer.status == 404
    expect(viewer.get_by_text("There is no such draft. Drafts end after 14 days.")).to_be_visible()
    shot(viewer, "mistakes-draft-gone")
