"""Values and conditions in words, short enough for a page or a terminal line. Never raises.

Pure, and for people only: nothing is ever parsed back.
"""

from __future__ import annotations

import json
from typing import Final

from featureflags.core.i18n import gettext
from featureflags.core.types import JSONValue
from featureflags.segments.definitions import EXISTS, SEGMENT_MATCH, Clause
from featureflags.segments.operator_labels import label_for

_LONGEST: Final = 120
_DEEPEST: Final = 20


def show(value: object) -> str:
    """A value as compact JSON, cut to 120 characters."""
    text = json.dumps(plain(value), ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def plain(value: object, depth: int = 0) -> JSONValue:
    """A value as JSON that any serialiser takes; what JSON cannot say becomes text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        # Half a character would break the encoding of the whole answer.
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, int | float):
        return _plain_number(value)
    if depth < _DEEPEST:
        if isinstance(value, list | tuple):
            return [plain(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return {str(plain(str(key))): plain(item, depth + 1) for key, item in value.items()}
    return f"({type(value).__name__})"


def _plain_number(value: int | float) -> JSONValue:
    try:
        as_float = float(value)
    except OverflowError:
        return gettext("(a number beyond a double)")
    return value if as_float - as_float == 0 else str(as_float)


def words(clause: Clause) -> str:
    """A condition as a sentence: ``email_domain is any of "agpt.co"``, ``email_verified is true``."""
    info = label_for(clause.op, clause.values)
    label = clause.op
    if info is not None:
        label = gettext(info.negated_label if clause.negate else info.label)
    if clause.op == EXISTS:
        return f"{clause.attribute} {label}"
    subject = gettext("the user") if clause.op == SEGMENT_MATCH else clause.attribute
    return f"{subject} {label} {listed(clause)}"


def listed(clause: Clause) -> str:
    """The values of a condition in words."""
    return gettext(" or ").join(show(value) for value in clause.values) or gettext("nothing")
