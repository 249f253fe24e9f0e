"""What the Content-Security-Policy must not break: Django's own scripts, and the other pages."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Expect, Page

from tests.browser.conftest import CheckAccessibility, OpenPage, Shot
from tests.browser.watching import Watch
from tests.factories import UserFactory


def test_an_inline_style_is_refused_in_the_admin(superuser_page: Page, watch: Watch) -> None:
    superuser_page.goto("/admin/")
    superuser_page.evaluate(
        """() => { document.querySelector('main').innerHTML =
            '<p id="typed" style="color: rgb(1, 2, 3)" onclick="alert(1)">Typed</p>' }"""
    )
    colour = superuser_page.evaluate("() => getComputedStyle(document.all.typed).color")
    assert colour != "rgb(1, 2, 3)"
    superuser_page.locator("#typed").click()
    watch.expect("console: .*inline style violates")
    watch.expect("console: .*inline event handler violates")


def test_the_calendar_the_clock_and_the_search_for_a_user_work(
    superuser_page: Page, expect: Expect, check_accessibility: CheckAccessibility
) -> None:
    UserFactory.create(email="ann@example.com")
    superuser_page.goto("/admin/featureflags/segmentmember/add/")
    until = superuser_page.locator(".field-expires_at")
    until.get_by_role("link", name="Choose a Date").click()
    superuser_page.locator("#calendarin1").get_by_role("link", name="15").click()
    expect(until.get_by_label("Date:")).to_have_value(re.compile(r"^\d{4}-\d\d-15$"))
    until.get_by_role("link", name="Choose a Time").click()
    superuser_page.locator("#clockbox1").get_by_role("link", name="Noon").click()
    expect(until.get_by_label("Time:")).to_have_value("12:00:00")
    superuser_page.get_by_role("combobox", name="User").click()
    superuser_page.locator(".select2-search__field").fill("ann@")
    superuser_page.get_by_role("option", name="ann@example.com").click()
    expect(superuser_page.get_by_role("combobox", name="User")).to_contain_text("ann@example.com")
    check_accessibility(superuser_page)


def test_groups_are_chosen_from_two_boxes(superuser_page: Page, expect: Expect) -> None:
    superuser_page.goto("/admin/auth/group/add/")
    superuser_page.get_by_placeholder("Filter").first.fill("Can view segment")
    superuser_page.get_by_role("option", name="Can view segment", exact=False).first.dblclick()
    expect(superuser_page.locator("#id_permissions_to option")).to_have_count(1)


@pytest.mark.parametrize("address", ["/", "/login/", "/admin/login/", "/there/is/none"])
def test_public_pages_are_accessible_in_the_light_and_in_the_dark(
    open_page: OpenPage,
    check_accessibility: CheckAccessibility,
    watch: Watch,
    shot: Shot,
    address: str,
) -> None:
    for scheme in ("light", "dark"):
        page = open_page(color_scheme=scheme)
        answer = page.goto(address)
        assert answer is not None
        assert "unsafe" not in answer.headers["content-security-policy"]
        check_accessibility(page)
        shot(page, f"public-{address.strip('/').replace('/', '-') or 'home'}-{scheme}")
        page.close()
    if address == "/there/is/none":
        watch.expect("status of 404")


def test_a_form_from_elsewhere_is_refused_in_words(
    open_page: OpenPage, watch: Watch, check_accessibility: CheckAccessibility, expect: Expect
) -> None:
    page = open_page()
    page.goto("/login/")
    page.context.clear_cookies()
    page.get_by_label("E-mail").fill("ann@example.com")
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Please send the form again")
    check_accessibility(page)
    watch.expect("status of 403")


def test_the_documentation_of_the_api_is_drawn_and_tries_a_request(
    superuser_page: Page, expect: Expect, check_accessibility: CheckAccessibility, shot: Shot
) -> None:
    answer = superuser_page.goto("/api/v1/docs/")
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "img-src 'self' data:" in policy
    assert "unsafe" not in policy
    operation = superuser_page.locator("#operations-users-users_me_retrieve")
    operation.locator(".opblock-summary-control").first.click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table .response-col_status").last).to_have_text("200")
    shot(superuser_page, "api-documentation")
