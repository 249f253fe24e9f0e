"""The pages around a segment and its changes: from right to left, on a phone, in the dark, without JavaScript, and
with the keyboard alone. `test_every_admin_page` has the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

import pytest
from django.utils.translation import trans_real
from playwright.sync_api import Page, ViewportSize
from pytest_django.fixtures import Settings

from tests.browser.colours import lost_in_forced_colours
from tests.browser.conftest import DESKTOP, PHONE, CheckAccessibility, OpenPage, Shot
from tests.browser.fitting import ZOOMED, unfit
from tests.browser.newer_pages import Site, another_installation, fill
from tests.conftest import FlagFile

RIGHT_TO_LEFT: Final = "ar"
VIEWS: Final[tuple[tuple[ViewportSize, Literal["light", "dark"]], ...]] = (
    (DESKTOP, "light"),
    (PHONE, "dark"),
    (ZOOMED, "light"),
)
READ: Final = (("en", DESKTOP), ("en", PHONE), (RIGHT_TO_LEFT, PHONE))
"""Where axe-core reads each page: one second each time. Another direction changes no color and no name."""
MOST_KEYS: Final = 400
REACHABLE: Final = """() => {
    const sorts = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]';
    const isShown = each => each.checkVisibility({ visibilityProperty: true })
        && !each.disabled && each.tabIndex >= 0 && each.type !== 'radio';
    const found = [...document.querySelectorAll(sorts)].filter(isShown);
    found.forEach((each, at) => { each.dataset.reached = at; });
    return found.map(each => each.outerHTML.slice(0, 120));
}"""
FOCUSED: Final = """() => {
    const each = document.activeElement;
    const style = getComputedStyle(each.closest('.rule-box') ?? each);
    const isMarked = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0
        || style.boxShadow !== 'none' || each.matches(':focus-visible') && each.tagName === 'BODY';
    return [each.dataset.reached ?? null, isMarked];
}"""


@pytest.fixture
def site(transactional_db: None, settings: Settings, flag_file: FlagFile) -> Iterator[Site]:
    with another_installation() as address:
        yield fill(settings, flag_file, address)


@pytest.mark.parametrize("language", ["en", RIGHT_TO_LEFT])
def test_they_fit_and_can_be_read(
    site: Site,
    open_page: OpenPage,
    shot: Shot,
    check_accessibility: CheckAccessibility,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    language: str,
) -> None:
    settings.LANGUAGE_CODE = language
    monkeypatch.setattr(trans_real, "_default", None)
    page = open_page(site.boss)
    wrong: list[str] = []
    for name, show in site.pages.items():
        page.set_viewport_size(DESKTOP)
        page.emulate_media(color_scheme="light")
        show(page)
        side = page.evaluate("document.documentElement.dir")
        assert side == ("rtl" if language == RIGHT_TO_LEFT else "ltr")
        wrong += unfit(page, name, DESKTOP)
        wrong += lost_in_forced_colours(page, name)
        for size, scheme in VIEWS:
            page.set_viewport_size(size)
            page.emulate_media(color_scheme=scheme)
            where = f"{name}-{language}-{size['width']}"
            shot(page, f"newer/{where}")
            wrong += unfit(page, where, size)
            if (language, size) not in READ:
                continue
            try:
                check_accessibility(page)
            except AssertionError as error:
                wrong.append(f"{where}: {error}")
    assert not wrong, "\n".join(wrong)


def test_they_work_without_javascript(site: Site, open_page: OpenPage, shot: Shot) -> None:
    page = open_page(site.boss, java_script_enabled=False, viewport=PHONE)
    wrong: list[str] = []
    for name, address in site.addresses.items():
        page.goto(address)
        shot(page, f"newer/{name}-plain")
        # Python asks: the page itself runs nothing.
        box = page.locator("#content").bounding_box()
        if box is None or box["x"] + box["width"] > PHONE["width"]:
            wrong.append(f"{name}: {box}")
        if not page.get_by_role("heading", level=1).last.is_visible():
            wrong.append(f"{name}: no title")
    assert not wrong, "\n".join(wrong)


def test_everything_is_reached_with_the_keyboard_and_shows_the_focus(
    site: Site, open_page: OpenPage
) -> None:
    page = open_page(site.boss)
    wrong: list[str] = []
    for name, show in site.pages.items():
        show(page)
        wrong += [f"{name}: {text}" for text in unreached(page)]
    assert not wrong, "\n".join(wrong)


def unreached(page: Page) -> Iterator[str]:
    """What Tab does not come to, and where nothing shows that it has come."""
    wanted = page.evaluate(REACHABLE)
    page.evaluate("document.activeElement.blur()")
    reached: set[int] = set()
    for _key in range(MOST_KEYS):
        page.keyboard.press("Tab")
        number, is_marked = page.evaluate(FOCUSED)
        if number is None or int(number) in reached:
            if len(reached) >= len(wanted):
                break
            continue
        reached.add(int(number))
        if not is_marked:
            yield f"no mark at {wanted[int(number)]}"
    for number, text in enumerate(wanted):
        if number not in reached:
            yield f"not reached: {text}"
