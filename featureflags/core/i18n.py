"""Translation for rooms that import no framework.

`makemessages` finds the texts by the names of these functions. The app passes Django's own functions
to `translate_with` when it is ready; until then the texts stay as they are in the code.
"""

from __future__ import annotations

from collections.abc import Callable


def gettext_noop(text: str) -> str:
    """The text unchanged, marked for `makemessages`. Call `gettext` where it is shown."""
    return text


def _one_or_more(singular: str, plural: str, number: int) -> str:
    return singular if number == 1 else plural


_translate: Callable[[str], str] = gettext_noop
_translate_number: Callable[[str, str, int], str] = _one_or_more


def translate_with(one: Callable[[str], str], number: Callable[[str, str, int], str]) -> None:
    """Translate texts by these functions from now on: `gettext` and `ngettext` of a framework."""
    global _translate, _translate_number
    _translate, _translate_number = one, number


def gettext(text: str) -> str:
    """The text in the active language."""
    return _translate(text)


def ngettext(singular: str, plural: str, number: int) -> str:
    """The singular or the plural for `number`, in the active language."""
    return _translate_number(singular, plural, number)
