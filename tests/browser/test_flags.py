"""LaunchDarkly's flags in a browser: from the list to a count by a real task, with its progress."""

from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import Expect, Page

from featureflags.inspection import variation_counts
from featureflags.models import FlagCount
from tests.browser.conftest import PHONE, VIEWER, CheckAccessibility, OpenPage, Shot, person_with
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory
from tests.services.flag_json import boolean_flag, rollout, segment_rule, string_flag

LIST = "/admin/featureflags/segment/flags/"


@pytest.fixture(autouse=True)
def flags(transactional_db: None, flag_file: FlagFile) -> None:
    SegmentFactory.create(key="crew")
    flag_file(
        string_flag(
            "accent-colour",
            ("slate", "green", "violet"),
            rules=[segment_rule("employee", variation=2), segment_rule("crew", variation=1)],
            fallthrough=rollout(70_000, 30_000, 0),
        ),
        boolean_flag("beta", on=False, rules=[segment_rule("gone")]),
    )
    UserFactory.create_batch(8)
    UserFactory.create_batch(3, employee=True)


def test_from_the_list_to_a_count(
    editor_page: Page, expect: Expect, check_accessibility: CheckAccessibility, shot: Shot
) -> None:
    page = editor_page
    page.goto(LIST)
    row = page.get_by_role("row", name="accent-colour")
    expect(row).to_contain_text('segments is any of "employee" → "violet"')
    expect(page.get_by_role("row", name="beta")).to_contain_text("not in Django")
    check_accessibility(page)
    shot(page, "flags")
    page.get_by_label("Flags:").select_option("off")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".flag-list tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Show all").click()
    page.get_by_role("link", name="accent-colour").click()
    expect(page.get_by_text("Not counted yet.")).to_be_visible()
    page.get_by_role("button", name="Count everybody").click()
    count = page.get_by_role("region", name="How many users get each value")
    expect(count).to_contain_text("All 12 users")
    violet = count.get_by_role("row", name="violet")
    expect(violet).to_contain_text("4")
    expect(violet).to_contain_text("rule 1: 4")
    check_accessibility(page)
    shot(page, "flag")
    assert FlagCount.objects.get().state == FlagCount.State.DONE


def test_progress_is_renewed_while_one_looks(
    editor_page: Page, expect: Expect, check_accessibility: CheckAccessibility
) -> None:
    count = variation_counts.begin("accent-colour")
    FlagCount.objects.update(lease_until=timezone.now() + variation_counts.LEASE, users_counted=3)
    page = editor_page
    page.goto(f"{LIST}accent-colour/")
    progress = page.get_by_role("progressbar", name="How many users get each value")
    expect(progress).to_have_attribute("value", "25")
    check_accessibility(page)
    FlagCount.objects.update(users_counted=6)
    expect(progress).to_have_attribute("value", "50")
    FlagCount.objects.update(lease_until=None, users_counted=0)
    variation_counts.work(count.pk)
    expect(page.get_by_text("All 12 users")).to_be_visible()
    expect(progress).to_have_count(0)


def test_who_may_only_look_counts_a_sample_and_asks_why(viewer_page: Page, expect: Expect) -> None:
    page = viewer_page
    page.goto(f"{LIST}accent-colour/")
    expect(page.get_by_role("button", name="Count everybody")).to_have_count(0)
    page.get_by_role("button", name="Count a sample").click()
    expect(page.get_by_text("All 12 users")).to_be_visible()
    page.get_by_label("Why does somebody get this value?").fill("vito@agpt.co")
    page.get_by_role("button", name="Why?").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(
        'Why is accent-colour "violet" for Vito Viewer?'
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(
    open_page: OpenPage, check_accessibility: CheckAccessibility, scheme: str
) -> None:
    page = open_page(person_with(*VIEWER), viewport=PHONE, color_scheme=scheme)
    variation_counts.count_sample("accent-colour")
    for address in (LIST, f"{LIST}accent-colour/", f"{LIST}beta/"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        check_accessibility(page)
