"""A key is made in the admin: the token is shown once, ready to be copied, to screen readers too."""

from __future__ import annotations

import pytest
from playwright.sync_api import Expect, Page

from featureflags.models import ApiKey
from tests.browser.conftest import CheckAccessibility, Shot

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_key_is_made_and_its_token_shown_once(
    superuser_page: Page, expect: Expect, check_accessibility: CheckAccessibility, shot: Shot
) -> None:
    page = superuser_page
    page.goto("/admin/featureflags/apikey/add/")
    check_accessibility(page)
    shot(page, "api-key-add")
    page.get_by_label("Name").fill("<img src=x onerror=alert(1)>")
    page.get_by_label("Flags").fill("new-checkout\nbeta")
    page.get_by_role("button", name="Save", exact=True).click()
    field = page.get_by_label("Copy the token now")
    expect(field).to_be_focused()
    token = field.input_value()
    key = ApiKey.objects.by_token(token)
    assert key is not None
    assert key.flags == ["new-checkout", "beta"]
    check_accessibility(page)
    shot(page, "api-key-made")

    page.get_by_role("link", name="Go on to the key").click()
    expect(page.get_by_label("Flags")).to_have_value("new-checkout\nbeta")
    assert token not in page.content()
    check_accessibility(page)
    shot(page, "api-key-change")
