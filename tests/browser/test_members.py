"""Everybody who is in a segment: turn pages, search, filter, export, and ask why one is missing."""

from __future__ import annotations

import csv
import datetime
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Expect, Page

from featureflags.audience.stored_sizes import count_everything
from featureflags.models import Segment
from tests.browser.conftest import PHONE, VIEWER, CheckAccessibility, OpenPage, Shot, person_with
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from users.models import User

LIST = "/admin/featureflags/segment/members/pro/"


@pytest.fixture
def pro(transactional_db: None) -> Segment:
    """Sixty members by a rule, one of them new, and one by name."""
    described = rule(clause("custom_plan", "in", "pro"), description="Pays for it")
    segment: Segment = SegmentFactory.create(key="pro", name="Pros", rules=[described])
    for number in range(60):
        UserFactory.create(
            email=f"user{number:02}@example.com",
            name="=cmd" if number == 0 else f"Person {number}",
            metadata={"plan": "pro"},
            created_at=timezone.now() - datetime.timedelta(days=2 if number == 7 else 200),
        )
    SegmentMemberFactory.create(
        segment=segment, user=UserFactory.create(email="zoe@example.com", name="Zoe")
    )
    UserFactory.create(email="missing@example.com", name="Missing", metadata={"plan": "free"})
    count_everything()
    return segment


def test_from_the_list_of_segments_to_the_last_page_and_back(
    viewer_page: Page,
    pro: Segment,
    expect: Expect,
    check_accessibility: CheckAccessibility,
    shot: Shot,
) -> None:
    page = viewer_page
    page.goto("/admin/featureflags/segment/?q=pro")
    page.get_by_role("row", name="pro Pros").get_by_role("link", name="61").click()
    rows = page.locator(".member-list tbody tr")
    expect(rows).to_have_count(50)
    expect(page.get_by_role("link", name="Previous page")).to_have_count(0)
    check_accessibility(page)
    shot(page, "members")
    page.get_by_role("link", name="Next page").click()
    expect(rows).to_have_count(11)
    expect(rows.last).to_contain_text("zoe@example.com")
    expect(rows.last).to_contain_text("By name")
    expect(page.get_by_role("link", name="Next page")).to_have_count(0)
    assert "%40" not in page.url
    page.get_by_role("link", name="Previous page").click()
    expect(rows.first).to_contain_text("user00@example.com")
    expect(page.get_by_role("link", name="Previous page")).to_have_count(0)


def test_search_and_filters(
    viewer_page: Page, pro: Segment, expect: Expect, check_accessibility: CheckAccessibility
) -> None:
    page = viewer_page
    page.goto(LIST)
    rows = page.locator(".member-list tbody tr")
    page.get_by_label("Search:").fill("person 7")
    page.keyboard.press("Enter")
    expect(rows).to_have_count(1)
    with page.expect_navigation():
        page.get_by_role("link", name="Show all").click()
    page.get_by_label("In by:").select_option("name")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("zoe@example.com")
    page.get_by_label("In by:").select_option("rules")
    page.get_by_label("Entered:").select_option("7")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("user07@example.com")
    expect(page.get_by_text("who was created since then")).to_be_visible()
    check_accessibility(page)
    rows.get_by_role("link", name="Why? user07@example.com").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Why is Person 7 in pro?")


def test_the_export_opens_in_a_spreadsheet(viewer_page: Page, pro: Segment, tmp_path: Path) -> None:
    page = viewer_page
    page.goto(f"{LIST}?how=rules")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as CSV").click()
    file = tmp_path / "members.csv"
    download.value.save_as(file)
    assert download.value.suggested_filename.startswith("pro-")
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 60
    assert (rows[0]["email"], rows[0]["name"]) == ("user00@example.com", "'=cmd")
    assert rows[0]["in_by"] == "Rule 1: Pays for it"


def test_why_somebody_is_missing(viewer_page: Page, pro: Segment, expect: Expect) -> None:
    page = viewer_page
    page.goto(LIST)
    page.get_by_label("Is somebody missing?").fill("Missing@example.com")
    page.get_by_role("button", name="Why?").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Why is Missing not in pro?")
    expect(page.get_by_text('plan: "free"')).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(
    open_page: OpenPage, pro: Segment, check_accessibility: CheckAccessibility, scheme: str
) -> None:
    page = open_page(person_with(*VIEWER), viewport=PHONE, color_scheme=scheme)
    page.goto(f"{LIST}?entered=30")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    check_accessibility(page)


def test_users_are_filtered_by_segment_and_by_when_they_were_seen(
    viewer_page: Page, pro: Segment, expect: Expect, check_accessibility: CheckAccessibility
) -> None:
    User.objects.filter(email="user03@example.com").update(last_seen_at=timezone.now())
    page = viewer_page
    page.goto("/admin/users/user/")
    page.get_by_role("link", name="Pros (pro)").click()
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(61)
    page.get_by_role("link", name="Past 7 days").first.click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("user03@example.com")
    SegmentFactory.create_batch(20)
    page.reload()
    page.get_by_label("By segment").select_option("system")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("0 users")).to_be_visible()
    check_accessibility(page)
