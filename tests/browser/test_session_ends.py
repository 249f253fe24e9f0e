"""The session ends while somebody fills in another form of the admin than that of a segment: nothing is lost."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pytest
from django.conf import settings
from django.urls import reverse
from playwright.sync_api import Expect, Page

from featureflags.models import SegmentMember, Webhook
from tests.browser.conftest import OpenPage
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory
from users.models import User

PASSWORD: Final = "a-long-enough-pass-phrase"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form: where it is, what is typed, the button, and what shows that it was saved."""

    address: Callable[[], str]
    label: str
    typed: str
    button: str
    is_saved: Callable[[], bool]


def user_page() -> str:
    return reverse("admin:users_user_change", args=[User.objects.get(email="ada@x.io").pk])


def member_page() -> str:
    return reverse("admin:featureflags_segmentmember_change", args=[SegmentMember.objects.get().pk])


FORMS: Final = {
    "import": Form(
        address=lambda: reverse("admin:featureflags_segment_by_name_import", args=["beta"]),
        label="Paste a list",
        typed="ada@x.io",
        button="Import",
        is_saved=lambda: SegmentMember.objects.filter(user__email="ada@x.io").exists(),
    ),
    "member": Form(
        address=member_page,
        label="Reason:",
        typed="Asked for it",
        button="Save",
        is_saved=lambda: SegmentMember.objects.filter(reason="Asked for it").exists(),
    ),
    "user": Form(
        address=user_page,
        label="Name:",
        typed="Ada Lovelace",
        button="Save",
        is_saved=lambda: User.objects.filter(name="Ada Lovelace").exists(),
    ),
    "webhook": Form(
        address=lambda: reverse(
            "admin:featureflags_webhook_change", args=[Webhook.objects.get().pk]
        ),
        label="Name:",
        typed="Chat",
        button="Save",
        is_saved=lambda: Webhook.objects.filter(name="Chat").exists(),
    ),
}


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    boss = UserFactory.create(superuser=True, email="root@agpt.co")
    boss.set_password(PASSWORD)
    boss.save()
    UserFactory.create(email="ada@x.io", name="Ada")
    beta = SegmentFactory.create(key="beta", name="Beta")
    SegmentMemberFactory.create(segment=beta, user=boss)
    Webhook.objects.create(name="chat", url="https://hooks.example.com/")
    return open_page(boss)


@pytest.mark.parametrize("name", FORMS)
def test_it_waits_for_the_login_in_another_tab(page: Page, expect: Expect, name: str) -> None:
    form = FORMS[name]
    page.goto(form.address())
    page.get_by_label(form.label, exact=form.label.endswith(":")).first.fill(form.typed)
    page.context.clear_cookies(name=settings.SESSION_COOKIE_NAME)
    button = page.get_by_role("button", name=form.button, exact=True)
    button.click()
    note = page.locator(".session-note")
    expect(note).to_contain_text("You are logged out. Nothing is sent")
    with page.expect_popup() as opened:
        note.get_by_role("link", name="Log in in another tab").click()
    other = opened.value
    other.locator("[name=username]").fill("root@agpt.co")
    other.get_by_label("Password").fill(PASSWORD)
    other.get_by_role("button", name="Log in").click()
    other.wait_for_url(re.compile("/admin/$"))
    with page.expect_navigation():
        button.click()
    if page.get_by_role("heading", name="Please confirm").count():
        with page.expect_navigation():
            page.get_by_role("button", name="Save", exact=True).click()
    assert form.is_saved()
