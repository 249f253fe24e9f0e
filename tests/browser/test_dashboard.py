"""The dashboard in a browser: what it shows, where it leads, on a phone and in the dark."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone
from playwright.sync_api import Expect, Page

from featureflags.audience.stored_sizes import count_everything
from featureflags.cache import counters
from featureflags.evaluation import is_enabled
from featureflags.models import SegmentCount, UserCount
from tests.browser.conftest import PHONE, VIEWER, CheckAccessibility, OpenPage, Shot, person_with
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.services.flag_json import boolean_flag


@pytest.fixture(autouse=True)
def numbers(transactional_db: None, flag_file: FlagFile) -> None:
    """Ninety days of users and of one segment, and some evaluations."""
    flag_file(boolean_flag("beta"))
    SegmentFactory.create(key="pro", name="Pros", rules=[rule(clause("custom_plan", "in", "pro"))])
    UserFactory.create_batch(6, metadata={"plan": "pro"}, last_seen_at=timezone.now())
    UserFactory.create_batch(6)
    count_everything()
    for days in range(1, 90):
        day = timezone.localdate() - datetime.timedelta(days=days)
        UserCount.objects.create(
            day=day,
            users=100 - days,
            seen_today=10,
            seen_within_7_days=50 - days // 2,
            seen_within_30_days=80,
            counted_at=timezone.now(),
        )
        SegmentCount.objects.create(segment_key="pro", day=day, at_least=days, at_most=days)
    for _ in range(3):
        is_enabled("beta", anonymous_key="somebody")
    counters.flush()


def test_what_it_shows_and_where_it_leads(
    viewer_page: Page, expect: Expect, check_accessibility: CheckAccessibility, shot: Shot
) -> None:
    page = viewer_page
    page.goto("/admin/")
    users = page.get_by_role("region", name="Users", exact=True)
    expect(users).to_contain_text("Seen in 24 hours")
    expect(users.get_by_role("img", name="Users. ")).to_be_visible()
    row = page.get_by_role("row", name="pro Pros")
    expect(row).to_contain_text("-83 in 89 days")
    expect(page.get_by_role("region", name="Answers")).to_contain_text("Evaluations today")
    expect(page.get_by_text("Flags arrive.")).to_be_visible()
    check_accessibility(page)
    shot(page, "dashboard")
    users.get_by_text("By day").click()
    expect(users.get_by_role("row")).to_have_count(91)
    row.get_by_role("link", name="pro").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Who is in pro")
    page.goto("/admin/")
    page.get_by_role("link", name="Why does somebody see this?").click()
    expect(page.get_by_label("Segment or flag:")).to_be_visible()
    page.goto("/admin/")
    page.locator(".dashboard-links").get_by_role("link", name="Flags").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Flags")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(
    open_page: OpenPage, check_accessibility: CheckAccessibility, scheme: str
) -> None:
    page = open_page(person_with(*VIEWER), viewport=PHONE, color_scheme=scheme)
    page.goto("/admin/")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    check_accessibility(page)
