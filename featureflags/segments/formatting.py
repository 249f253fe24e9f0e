"""Values and conditions in words, short enough for a page or a terminal line. Never raises.

Pure, and for people only: nothing is ever parsed back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from unicodedata import bidirectional

from featureflags.core.i18n import gettext
from featureflags.core.types import JSONValue
from featureflags.segments.definitions import EXISTS, SEGMENT_MATCH, USER_KIND, Clause
from featureflags.segments.operator_labels import OPERATORS, ValueKind, label_for
from featureflags.segments.value_words import (
    count_in_words,
    day_in_words,
    duration_in_words,
    period_in_words,
)

MOST_LISTED: Final = 10
FIRST_LISTED: Final = 3

_UNSEEN: Final = re.compile(
    "[\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})

_LONGEST: Final = 120
_DEEPEST: Final = 20


def show(value: object) -> str:
    """A value as compact JSON, cut to 120 characters, with nothing in it that cannot be seen."""
    text = json.dumps(plain(value), ensure_ascii=False)
    return visible(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")


def visible(text: str) -> str:
    """The text as it is, in the middle of a sentence.

    Characters that turn, hide or break the text around them are written out, as `\\u202e`. Text from
    right to left is isolated, so that it does not turn its neighbours:
    https://www.unicode.org/reports/tr9/#Explicit_Directional_Isolates
    """
    text = _UNSEEN.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
    if text.isascii() or not any(bidirectional(one) in _RIGHT_TO_LEFT for one in text):
        return text
    return f"\u2068{text}\u2069"


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
    """A condition as a sentence: ``email_domain is any of "agpt.co"``, ``seats of the organization is 5``."""
    info = label_for(clause.op, clause.values)
    label = clause.op
    if info is not None:
        label = gettext(info.negated_label if clause.negate else info.label)
    subject = clause.attribute
    if clause.op == SEGMENT_MATCH:
        is_user = clause.context_kind in {None, USER_KIND}
        subject = gettext("the user") if is_user else gettext("the %s") % clause.context_kind
    if clause.op != SEGMENT_MATCH and clause.context_kind not in {None, USER_KIND}:
        said = {"attribute": subject, "kind": clause.context_kind}
        subject = gettext("%(attribute)s of the %(kind)s") % said
    if clause.op == EXISTS:
        return f"{subject} {label}"
    return f"{subject} {label} {listed(clause)}{options_in_words(clause)}"


def options_in_words(clause: Clause) -> str:
    """What a condition adds to its values: `` in upper or lower case, or is not known``."""
    missing = gettext(", or is not known") if clause.holds_for_missing else ""
    return case_in_words(clause) + missing


def case_in_words(clause: Clause) -> str:
    """Empty unless case is ignored."""
    return gettext(" in upper or lower case") if clause.ignore_case else ""


def listed(clause: Clause) -> str:
    """The values of a condition in words; of a long list the first ones."""
    return joined(clause.values, shown_as(clause.op), between=clause.op == "between") or gettext(
        "nothing"
    )


_IN_WORDS: Final[Mapping[ValueKind, Callable[[object], str | None]]] = {
    ValueKind.DURATION: duration_in_words,
    ValueKind.PERIOD: period_in_words,
    ValueKind.DAY: day_in_words,
    ValueKind.COUNT: count_in_words,
}


def shown_as(op: str) -> Callable[[object], str]:
    """How the values of an operator are shown."""
    info = OPERATORS.get(op)
    in_words = None if info is None else _IN_WORDS.get(info.value_kind)
    if in_words is None:
        return show
    return lambda value: in_words(value) or show(value)


def joined(
    values: Sequence[object], show_one: Callable[[object], str], *, between: bool = False
) -> str:
    """`"a" or "b"`, `"a" and "b"` for two that limit a range; of more than ten values three, and how many
    others there are."""
    if len(values) <= MOST_LISTED:
        return (gettext(" and ") if between else gettext(" or ")).join(map(show_one, values))
    first = gettext(" or ").join(map(show_one, values[:FIRST_LISTED]))
    return gettext("%(values)s and %(count)s more") % {
        "values": first,
        "count": f"{len(values) - FIRST_LISTED:,}",
    }
