"""What rows of a kind are called in sentences.

>>> noun("user", 1), noun("user", 2), noun("unknown", 2)
('user', 'users', 'unknown')
"""

from __future__ import annotations

from featureflags.core.i18n import ngettext
from featureflags.kinds.registry import USER, kind_named


def noun(kind: str, number: int = 2) -> str:
    """“company”, or “companies” for another number than one; the name of a kind that no app declares."""
    if kind == USER:
        return ngettext("user", "users", number)
    found = kind_named(kind)
    if found is None:
        return kind
    named = found.model._meta
    return str(named.verbose_name if number == 1 else named.verbose_name_plural)
