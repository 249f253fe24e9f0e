"""A person who has a keyboard alone: every stop on the way has to show the focus, and none may keep it.

keys = Keyboard(page)
keys.press("Approve")
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from playwright.sync_api import Page

MOST_STOPS: Final = 150
STOP: Final = """async () => {
    const each = document.activeElement;
    const style = getComputedStyle(each);
    const box = each.closest('.rule-box');
    const hasOutline = one => one.outlineStyle !== 'none' && parseFloat(one.outlineWidth) > 0;
    // The parts of a date, its button among them, are marked inside the field, where no script sees.
    const isMarked = hasOutline(style) || style.boxShadow !== 'none' || box && hasOutline(getComputedStyle(box))
        || each.matches('[type="datetime-local"]');
    const ids = (each.getAttribute('aria-labelledby') ?? '').split(' ').filter(Boolean);
    const named = ids.map(id => document.getElementById(id)?.textContent).join(' ');
    const name = named || each.getAttribute('aria-label') || each.labels?.[0]?.textContent
        || (each.matches('input') ? each.value : each.textContent);
    const isInView = () => {
        const where = each.getBoundingClientRect();
        return where.bottom > 0 && where.top < innerHeight;
    };
    // The browser may scroll to it with its next frame.
    for (let frame = 0; frame < 30 && !isInView(); frame += 1) {
        await new Promise(done => requestAnimationFrame(done));
    }
    return [each.tagName, name.replace(/\\s+/g, ' ').trim(), Boolean(isMarked) && isInView()];
}"""


@dataclass(slots=True)
class Keyboard:
    """Keys alone, on the page that is open."""

    page: Page
    wrong: list[str] = field(default_factory=list)
    """Stops that did not show the focus, or not in the window."""

    def to(self, name: str, *, back: bool = False) -> None:
        """Tab on (or back) to what has a name that begins like this."""
        passed = []
        for _stop in range(MOST_STOPS):
            self.page.keyboard.press("Shift+Tab" if back else "Tab")
            tag, found, is_shown = self.page.evaluate(STOP)
            if tag == "BODY":
                continue
            if not is_shown:
                self.wrong.append(f"{tag} {found[:60]} on {self.page.url}")
            if found.startswith(name):
                return
            passed.append(found[:30])
        raise AssertionError(f"{name!r} is not reached on {self.page.url}, but {passed}")

    def press(self, name: str) -> None:
        """Tab to it, and press it where another page follows."""
        self.to(name)
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def type(self, name: str, text: str, *, end: str = "") -> None:
        """Tab to a field, type over what is in it, and press a last key."""
        self.to(name)
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)
        if end:
            self.page.keyboard.press(end)
