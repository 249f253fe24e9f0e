"""What does not fit on a page: scripts for `page.evaluate`, and the sizes of windows to ask them at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from playwright.sync_api import Page, ViewportSize

ZOOMED: Final = ViewportSize(width=320, height=256)
"""A window of 1280 × 1024 pixels at 400 %."""

WIDTH: Final = "() => document.documentElement.scrollWidth"
CUT: Final = """() => {
    // Texts that their own box cuts off, and that nobody can scroll to. Django's own forms always hide.
    const cuts = each => {
        const style = getComputedStyle(each);
        return ['hidden', 'clip'].includes(style.overflowX) && each.clientWidth > 1
            && style.textOverflow !== 'ellipsis' && !each.matches('input, .form-row, .selector *') && each.scrollWidth > each.clientWidth + 1;
    };
    return [...document.querySelectorAll('#content, #content *')].filter(cuts)
        .map(each => `${each.tagName}.${each.className}: ${each.textContent.slice(0, 40)}`);
}"""
SCROLLED: Final = """() => [...document.querySelectorAll('.scroll, .results')]
    .filter(box => box.clientWidth > 0 && box.scrollWidth > box.clientWidth + 1)
    .map(box => `${box.scrollWidth} pixels in ${box.clientWidth}: ${box.textContent.trim().slice(0, 40)}`)"""


def unfit(page: Page, where: str, *sizes: ViewportSize) -> Iterator[str]:
    """What is wider than a window of each size, cut off, or a list that must be scrolled sideways."""
    for size in sizes:
        page.set_viewport_size(size)
        width = page.evaluate(WIDTH)
        if width > size["width"]:
            yield f"{where}: {width} pixels wide at {size['width']}"
        for script in (CUT, SCROLLED):
            yield from (f"{where} at {size['width']}: {text}" for text in page.evaluate(script))
