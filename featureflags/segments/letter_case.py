"""Texts without the difference of upper and lower case, and what that means in SQL.

One character becomes one character: `É` is `é`, both small forms of the Greek sigma are one, and `ß` is
not `ss`. No character beyond ASCII becomes one of ASCII (the Kelvin sign stays what it is). So a database
that lowers A to Z alone finds the same texts, if it asks for all `variants` of a value.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import product
from typing import Final

MOST_VARIANTS: Final = 64
"""Of one value in SQL: six letters beyond ASCII with two forms each. Beyond that, Python decides."""

_LAST_CASED: Final = 0x20000
"""Beyond it no character has two cases; a test asks all of them."""


class _Folds(dict[int, str]):
    """From a character to its form; what was asked is remembered."""

    def __missing__(self, code: int) -> str:
        form = self[code] = _form(chr(code))
        return form


def _form(one: str) -> str:
    if one.isascii():
        return one.lower()
    form = one.casefold()
    if len(form) > 1:
        form = one.lower()
    return one if len(form) > 1 or form.isascii() else form


_FOLDS: Final = _Folds()


def fold(text: str) -> str:
    """The text as it is compared where case is ignored; of the same length."""
    return text.lower() if text.isascii() else text.translate(_FOLDS)


def variants(text: str) -> tuple[str, ...] | None:
    """The texts with A to Z in lower case that fold to the same as this one; None: too many."""
    if text.isascii():
        return (text.lower(),)
    classes = _classes()
    forms = [classes.get(one, one) for one in fold(text)]
    if math.prod(map(len, forms)) > MOST_VARIANTS:
        return None
    return tuple(map("".join, product(*forms)))


@cache
def _classes() -> dict[str, str]:
    """From a folded character beyond ASCII to all that fold to it, where there are several."""
    found: dict[str, str] = {}
    for code in range(0x80, _LAST_CASED):
        one = chr(code)
        form = _form(one)
        if form != one:
            found[form] = found.get(form, form) + one
    return found
