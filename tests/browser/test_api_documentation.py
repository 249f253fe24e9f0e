"""The page of the API's documentation: a title, texts that can be read, and a dark mode."""

from __future__ import annotations

from playwright.sync_api import Expect, Page

from tests.browser.conftest import CheckAccessibility, Shot


def test_a_title_and_texts_that_can_be_read(
    superuser_page: Page, expect: Expect, shot: Shot, check_accessibility: CheckAccessibility
) -> None:
    page = superuser_page
    page.goto("/api/v1/docs/")
    title = page.get_by_role("heading", level=1).first
    expect(title).to_have_text("REST API")
    assert (title.bounding_box() or {"height": 0})["height"] > 20
    expect(page.locator(".opblock").first).to_be_visible()
    check_accessibility(page, "color-contrast")
    shot(page, "api-docs")


def test_in_the_dark(superuser_page: Page, expect: Expect, shot: Shot) -> None:
    page = superuser_page
    page.emulate_media(color_scheme="dark")
    page.goto("/api/v1/docs/")
    expect(page.locator(".opblock").first).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 18, 18)"
    assert "invert" in page.evaluate(
        "getComputedStyle(document.getElementById('swagger-ui')).filter"
    )
    shot(page, "api-docs-dark")
