"""What may come in from outside: text that a database can store, and numbers of a sane length.

>>> is_storable("Zoë"), is_storable("a\\x00b"), is_storable("\\ud800")
(True, False, False)
>>> whole_number("42"), whole_number("9" * 5000), whole_number("-1")
(42, None, None)
"""

from __future__ import annotations

import datetime
from typing import Final

MOST_DIGITS: Final = 18
"""Every number of so many digits is a 64-bit integer; Python itself reads at most 4,300 digits."""


MOST_WORDS: Final = 20
"""Of a search. Each costs a look at every row, and a database reads no query of any depth."""


LATEST: Final = datetime.datetime(9999, 1, 1, tzinfo=datetime.UTC)
"""No moment that is stored lies later: any time zone can show it."""


def is_storable(text: str) -> bool:
    """False for a text with NUL or with half a surrogate pair: PostgreSQL refuses both."""
    if "\x00" in text:
        return False
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def whole_number(text: str | None) -> int | None:
    """A number of ASCII digits; None for anything else, and for more than MOST_DIGITS."""
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > MOST_DIGITS:
        return None
    return int(text)
