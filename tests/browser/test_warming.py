"""The page of a running cache warm-up: its numbers move, and a button cancels it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Expect
from pytest_django.fixtures import Settings

from featureflags.warming.batches import Counts
from featureflags.warming.leases import claim, finish
from featureflags.warming.runs import begin, settle
from tests.browser.conftest import PHONE, CheckAccessibility, OpenPage, Shot, person_with
from tests.featureflags.warming.people import EVERYBODY, change, crowd


@pytest.fixture
def run(settings: Settings, transactional_db: None) -> int:
    change(settings, WARM_RANGE=2)
    crowd(6)
    return begin(EVERYBODY).run


def do_one(run: int) -> None:
    claimed = claim(run)
    assert claimed is not None
    finish(claimed, Counts(read=2, written=2))


def test_the_numbers_move_until_the_end(
    open_page: OpenPage,
    run: int,
    expect: Expect,
    check_accessibility: CheckAccessibility,
    shot: Shot,
) -> None:
    page = open_page(person_with("view_warmrun"))
    do_one(run)
    page.goto(f"/admin/featureflags/warmrun/{run}/change/")
    bar = page.get_by_role("progressbar")
    expect(bar).to_have_attribute("value", "33")
    expect(page.get_by_text("1 of 3 done")).to_be_visible()
    check_accessibility(page)
    shot(page, "warming")
    do_one(run)
    expect(bar).to_have_attribute("value", "66")
    expect(page.get_by_text("2 of 3 done")).to_be_visible()
    do_one(run)
    settle(run)
    expect(page.get_by_role("heading", name="Done", exact=True)).to_be_visible()
    expect(page.get_by_text("All ranges are done.")).to_be_visible()
    check_accessibility(page)
    page.goto("/admin/featureflags/warmrun/")
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "3")


def test_a_button_cancels_it_on_a_phone_without_scripts(
    open_page: OpenPage, run: int, expect: Expect
) -> None:
    operator = person_with("view_warmrun", "change_warmrun")
    page = open_page(operator, viewport=PHONE, java_script_enabled=False)
    page.goto(f"/admin/featureflags/warmrun/{run}/change/")
    page.get_by_role("button", name="Cancel this warm-up").click()
    expect(page.get_by_text("The cache warm-up is cancelled.")).to_be_visible()
    expect(page.get_by_role("heading", name="Cancelled", exact=True)).to_be_visible()
