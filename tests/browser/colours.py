"""What is lost where a person has chosen all colours: for `page.emulate_media(forced_colors="active")`.

Backgrounds go then. What one showed has to be shown by a line, or by a colour of the system.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from playwright.sync_api import Page

MARK: Final = """() => {
    // What differs from the ground below it. Rows of tables are separated by their lines.
    const ground = each => getComputedStyle(each).backgroundColor;
    const isClear = each => ground(each).endsWith(', 0)');
    const below = each => {
        const parent = each.parentElement;
        return parent === null ? '' : isClear(parent) ? below(parent) : ground(parent);
    };
    for (const each of document.querySelectorAll('#content *')) {
        const isShown = each.checkVisibility({ visibilityProperty: true }) && each.offsetWidth > 1;
        each.toggleAttribute('data-flat', isShown && !each.matches('tr, [disabled], .object-tools a, .selector-chooser, .why-section, #changelist-filter-header')
            && !isClear(each) && ground(each) !== below(each));
    }
}"""
LOST: Final = """() => {
    const canvas = 'rgb(255, 255, 255)';
    const isLost = each => {
        const style = getComputedStyle(each);
        const hasLine = ['Top', 'Right', 'Bottom', 'Left'].some(side => style[`border${side}Style`] !== 'none'
            && parseFloat(style[`border${side}Width`]) > 0 && style[`border${side}Color`] !== canvas);
        return !hasLine && style.outlineStyle === 'none' && style.backgroundColor === canvas;
    };
    return [...document.querySelectorAll('[data-flat]')].filter(isLost)
        .map(each => `${each.tagName}.${each.className}: ${each.textContent.trim().slice(0, 40)}`);
}"""


def lost_in_forced_colours(page: Page, where: str) -> Iterator[str]:
    """What only a background shows. The page is left with its own colours."""
    page.evaluate(MARK)
    page.emulate_media(forced_colors="active")
    yield from (f"{where}, forced colours: {text}" for text in page.evaluate(LOST))
    page.emulate_media(forced_colors="none")
