"""From “why do I see this?” to the user's own field, by links alone, and a user's page."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone
from playwright.sync_api import Expect, Page

from tests.browser.conftest import PHONE, VIEWER, CheckAccessibility, OpenPage, Shot, person_with
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.services.flag_json import boolean_flag, prerequisite, segment_rule
from users.models import User


@pytest.fixture
def ada(flag_file: FlagFile) -> User:
    """An employee whose address is not verified: that is why she sees no new tools."""
    flag_file(
        boolean_flag("internal-tools", rules=[segment_rule("crew")]),
        boolean_flag("new-tools", fallthrough=True, prerequisites=[prerequisite("internal-tools")]),
    )
    SegmentFactory.create(
        key="crew", name="Crew", rules=[rule(clause("", "segmentMatch", "employee"))]
    )
    return UserFactory.create(
        email="ada@agpt.co",
        name="Ada Adler",
        email_verified=False,
        created_at=timezone.now() - datetime.timedelta(days=2),
        metadata={"last_ip": "203.0.113.9"},
    )


def user_page(user: User) -> str:
    return f"/admin/featureflags/segment/user-context/{user.pk}/"


def test_one_chain_from_the_flag_to_the_field(
    viewer_page: Page,
    ada: User,
    expect: Expect,
    check_accessibility: CheckAccessibility,
    shot: Shot,
) -> None:
    page = viewer_page
    page.goto("/admin/featureflags/segment/why/")
    page.get_by_label("User:").fill("ada@agpt.co")
    page.get_by_label("Segment or flag:").select_option("flag:new-tools")
    check_accessibility(page)
    page.get_by_role("button", name="Explain").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "Why is new-tools false for Ada Adler?"
    )
    expect(page.get_by_text("It needs the flag “internal-tools” first.")).to_be_visible()
    check_accessibility(page)
    page.get_by_role("link", name="internal-tools: why?").click()
    expect(page.get_by_text('segments is any of "crew"')).to_be_visible()
    check_accessibility(page)
    page.get_by_role("link", name="Why not in crew?").click()
    crew = page.get_by_role("region", name="Crew")
    expect(crew).to_be_in_viewport()
    crew.get_by_role("link", name="Why not in employee?").click()
    employees = page.get_by_role("region", name="Employees")
    expect(employees).to_be_in_viewport()
    expect(employees.get_by_text("E-mail verified: false")).to_be_visible()
    shot(page, "why-flag")
    employees.get_by_role("link", name="Why?").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Why is Ada Adler not in employee?")
    expect(page.get_by_text("1 condition does not hold")).to_be_visible()
    check_accessibility(page)
    shot(page, "why-segment")


def test_somebody_who_is_not_there_keeps_what_was_typed(viewer_page: Page, expect: Expect) -> None:
    page = viewer_page
    page.goto("/admin/featureflags/segment/why/?about=segment:employee")
    page.get_by_label("User:").fill("nobody@agpt.co")
    page.get_by_role("button", name="Explain").click()
    expect(
        page.get_by_text("Nobody has this key, or this in their name or address.")
    ).to_be_visible()
    expect(page.get_by_label("User:")).to_have_value("nobody@agpt.co")
    expect(page.get_by_label("Segment or flag:")).to_have_value("segment:employee")


def test_a_user_s_page(
    viewer_page: Page,
    ada: User,
    expect: Expect,
    check_accessibility: CheckAccessibility,
    shot: Shot,
) -> None:
    page = viewer_page
    page.goto(f"/admin/users/user/{ada.pk}/change/")
    page.get_by_role("link", name="Segments and flags").click()
    changes = page.get_by_role("region", name="What changes next")
    expect(changes.get_by_text("Account age in days becomes 7")).to_be_visible()
    expect(changes.get_by_text("Leaves new_user")).to_be_visible()
    context = page.get_by_role("region", name="Context")
    expect(context.get_by_role("row", name="email E-mail")).to_contain_text("Private")
    withheld = context.get_by_role("row", name="custom_last_ip")
    expect(withheld).to_contain_text("Withheld")
    expect(page.get_by_text("203.0.113.9")).to_have_count(0)
    check_accessibility(page)
    shot(page, "user")
    page.get_by_text("Not in", exact=False).first.click()
    page.get_by_role("link", name="Why not in crew?").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Why is Ada Adler not in crew?")
    page.go_back()
    page.get_by_label("Segment or flag:").fill("tools")
    page.get_by_role("button", name="Search").click()
    flags = page.get_by_role("region", name="Flags")
    expect(flags.get_by_role("row")).to_have_count(3)
    flags.get_by_role("link", name="Why this value of internal-tools?").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "Why is internal-tools false for Ada Adler?"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_screen(
    open_page: OpenPage, ada: User, check_accessibility: CheckAccessibility, scheme: str
) -> None:
    viewer = person_with(*VIEWER)
    page = open_page(viewer, viewport=PHONE, color_scheme=scheme, java_script_enabled=True)
    base = "/admin/featureflags/segment/why/"
    for address in (
        user_page(ada),
        base,
        f"{base}flag/internal-tools/{ada.pk}/",
        f"{base}segment/crew/{ada.pk}/",
    ):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        check_accessibility(page)


def test_without_javascript(open_page: OpenPage, ada: User, expect: Expect) -> None:
    page = open_page(person_with(*VIEWER), java_script_enabled=False)
    page.goto(f"{user_page(ada)}?q=crew")
    page.get_by_role("link", name="Why not in crew?").click()
    expect(page.get_by_role("region", name="Employees")).to_contain_text("E-mail verified: false")
