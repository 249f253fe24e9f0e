"""The pictures of the README's tour, taken anew: `make screenshots`.

A demo of its own with a crowd of users and the sizes of the last weeks, served by a process of its
own, and gone afterwards. What is shown is what anybody sees who follows the tour.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, ViewportSize

from tests.browser.chromium import MISSING, find_chromium
from tests.browser.thread import BrowserThread
from tests.services.processes import environment_with, python, running_server

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "pictures"
USERS: Final = 5_000
DAYS: Final = 60
LOGIN: Final = ("admin@example.com", "demo")
WIDTH: Final = 1060
HEIGHT: Final = 760

NARROW_MENU: Final = "localStorage.setItem('django.admin.navSidebarIsOpen', 'false')"
"""The menu on the left closed, as a click on its edge does it."""

ENVIRONMENT: Final[Mapping[str, str | None]] = {
    **dict.fromkeys(("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "LAUNCHDARKLY_SDK_KEY")),
    "GUIDON_IGNORE_DOTENV": "1",
}
SETTINGS: Final = "config.settings.development"


def dashboard(page: Page) -> None:
    page.goto("/admin/")


def editor(page: Page) -> None:
    """A change that is being made, with those who enter and leave."""
    page.goto("/admin/featureflags/segment/?q=paying_customer")
    page.get_by_role("link", name="paying_customer").click()
    page.get_by_role("button", name="Remove team").click()
    page.get_by_role("button", name="Add a condition").click()
    condition = page.get_by_role("group", name="Rule 1, condition 2", exact=True)
    condition.get_by_label("Attribute", exact=True).select_option(label="country")
    condition.get_by_label("Values", exact=True).press_sequentially("DE,FR,")
    page.get_by_role("button", name="Add a condition").click()
    condition = page.get_by_role("group", name="Rule 1, condition 3", exact=True)
    condition.get_by_label("Attribute", exact=True).select_option(label="Name")
    condition.get_by_label("Comparison").select_option(label="does not contain")
    condition.get_by_label("Values", exact=True).press_sequentially("intern,")
    page.get_by_text(re.compile(r"^−[\d,]+ leave$")).wait_for()
    page.locator(".field-rules").evaluate("rules => rules.parentElement.scrollIntoView()")


def confirmation(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("heading", name="Please confirm").wait_for()


def why(page: Page) -> None:
    page.goto("/admin/featureflags/segment/why/?about=segment:paying_customer")
    page.get_by_label("User").fill("nina@example.com")
    page.get_by_role("button", name="Explain").click()
    page.get_by_role("heading", name="Why is").wait_for()


def history(page: Page) -> None:
    """The change that was confirmed before is saved, and shown with its note."""
    page.goto("/admin/featureflags/segment/?q=employee")
    page.get_by_role("link", name="employee").click()
    page.get_by_role("button", name="Add a condition").click()
    condition = page.get_by_role("group", name="Rule 1, condition 3", exact=True)
    condition.get_by_label("Attribute", exact=True).select_option(label="Role")
    condition.get_by_label("Comparison").select_option(label="is not any of")
    condition.get_by_label("System").check()
    page.get_by_label("Note for the history").fill("Accounts of machines are no colleagues")
    page.get_by_role("button", name="Save and continue editing").click()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("link", name="History").click()


PICTURES: Final[Mapping[str, Callable[[Page], None]]] = {
    "dashboard": dashboard,
    "editor": editor,
    "confirmation": confirmation,
    "why": why,
    "history": history,
}
"""In this order: some go on where the one before has stopped."""


def height(page: Page) -> int:
    """Of what there is to see, at most that of the window."""
    bottom: float = page.locator("#content").evaluate(
        "content => content.getBoundingClientRect().bottom"
    )
    return min(HEIGHT, round(bottom))


def take(page: Page) -> None:
    """Log in, and take them all."""
    page.goto("/admin/login/")
    page.get_by_label("E-mail address").fill(LOGIN[0])
    page.get_by_label("Password").fill(LOGIN[1])
    page.get_by_role("button", name="Log in").click()
    for name, show in PICTURES.items():
        show(page)
        path = FOLDER / f"{name}.png"
        page.screenshot(path=path, clip={"x": 0, "y": 0, "width": WIDTH, "height": height(page)})
        print(f"{path.relative_to(FOLDER.parents[1])}: {path.stat().st_size // 1024} KB")


def main() -> int:
    executable = find_chromium()
    if executable is None:
        print(MISSING, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        changes = {**ENVIRONMENT, "GUIDON_VAR_DIR": folder}
        fill = python("-m", "tests.browser.filled_demo", str(USERS), str(DAYS))
        settings = {**environment_with(changes), "DJANGO_SETTINGS_MODULE": SETTINGS}
        subprocess.run(fill, env=settings, check=True)
        thread = BrowserThread(executable)
        try:
            with running_server(changes) as server:
                context = thread.browser.new_context(
                    base_url=server.url,
                    viewport=ViewportSize(width=WIDTH, height=HEIGHT),
                    locale="en-GB",
                    reduced_motion="reduce",
                )
                context.add_init_script(NARROW_MENU)
                take(context.new_page())
        finally:
            thread.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
