"""Texts for people, from rooms that know no framework.

They are marked for `makemessages` by the names of these functions, and translated by whatever the
app has put in once it is ready: Django's own functions. Until then they are what stands in the code.
"""

from __future__ import annotations

from collections.abc import Callable


def gettext_noop(text: str) -> str:
    """The text as it stands, marked: whoever shows it calls `gettext`."""
    return text


def _one_or_more(singular: str, plural: str, number: int) -> str:
    return singular if number == 1 else plural


_translate: Callable[[str], str] = gettext_noop
_translate_number: Callable[[str, str, int], str] = _one_or_more


def translate_with(one: Callable[[str], str], number: Callable[[str, str, int], str]) -> None:
    """Let texts be translated by these functions from now on."""
    global _translate, _translate_number
    _translate, _translate_number = one, number


def gettext(text: str) -> str:
    """The text in the language at hand."""
    return _translate(text)


def ngettext(singular: str, plural: str, number: int) -> str:
    """The one or the other in the language at hand, as `number` wants it."""
    return _translate_number(singular, plural, number)
