"""Clauses on a text, as far as SQL can express them.

Regular expressions are RE2's, which no database has; but a pattern that is a plain text between
anchors is a comparison of texts. Python decides about dates and versions inside texts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from featureflags.audience.sql.bounds import (
    Bounds,
    Condition,
    any_of,
    either,
    exactly,
    unknown,
)
from featureflags.audience.sql.expressions import LowerAscii, OneOf, TextPart
from featureflags.audience.sql.instant_ranges import limit_of
from featureflags.core.types import JSONValue
from featureflags.segments.definitions import Clause
from featureflags.segments.ip_ranges import parse_range
from featureflags.segments.json_limits import text_problem
from featureflags.segments.letter_case import variants
from featureflags.segments.operator_labels import IGNORES_CASE
from featureflags.segments.operators import LENGTH_TESTS, LOWER_BOUNDS, UPPER_BOUNDS
from featureflags.segments.values import parse_semver

_LITERAL: Final = re.compile(
    r"(\^?)((?:[A-Za-z0-9 _@,:;%&=<>!\"'#~/-]|\\[.@/_+*?()|\[\]{}^$-])*)(\$?)"
)
"""A pattern without operators: literal characters and escaped punctuation."""

_SEMVER: Final = frozenset(
    {"semVerEqual", "semVerLessThan", "semVerGreaterThan"}
    | {"semVerLessThanOrEqual", "semVerGreaterThanOrEqual"}
)
_IP: Final = frozenset({"ipInRange"})
_DATES: Final = frozenset({"before", "after"})
_PARTS: Final = frozenset({"startsWith", "endsWith", "contains"})
_NUMBERS: Final = UPPER_BOUNDS | LOWER_BOUNDS

DECIDED: Final = frozenset({"in", "matches"}) | _PARTS | _NUMBERS | _SEMVER | _DATES | _IP
"""The operators that `text_bounds` knows. It leaves any other to Python, which is slow but right."""


def text_bounds(clause: Clause, text: Any, *, is_text: Condition = True) -> Bounds:
    """The condition under which a text passes. `is_text`: true where the expression is a text."""
    op, values = clause.op, clause.values
    texts = tuple(
        dict.fromkeys(
            value for value in values if isinstance(value, str) and text_problem(value) is None
        )
    )
    if clause.ignore_case and op in IGNORES_CASE:
        return _ignoring_case(op, texts, text, is_text)
    if op == "in":
        return exactly(OneOf(text, texts) if texts else False)
    if op in _PARTS:
        return exactly(_part(op, texts, text, is_text))
    if op == "matches":
        return either(_pattern(pattern, text, is_text) for pattern in texts)
    if _holds_for_nothing(op, values):
        return exactly(False)
    return unknown(f"SQL does not parse texts ({op})", at_most=is_text)


def _ignoring_case(op: str, texts: Sequence[str], text: Any, is_text: Condition) -> Bounds:
    """As `segments.letter_case`: the database lowers A to Z, and other letters are written out."""
    if op == "matches":
        why = "SQL has no such regular expressions (matches)"
        return unknown(why, at_most=is_text) if texts else exactly(False)
    forms = [variants(value) for value in texts]
    sought = tuple(dict.fromkeys(form for found in forms for form in found or ()))
    lowered = LowerAscii(text)
    if op == "in":
        found = exactly(OneOf(lowered, sought) if sought else False)
    else:
        found = exactly(_part(op, sought, lowered, is_text))
    if all(form is not None for form in forms):
        return found
    why = f"a value has too many letters beyond ASCII to ignore case in SQL ({op})"
    return either([found, unknown(why, at_most=is_text)])


def _holds_for_nothing(op: str, values: Sequence[JSONValue]) -> bool:
    if op in _SEMVER:
        return all(parse_semver(value) is None for value in values)
    if op in _IP:
        return all(parse_range(value) is None for value in values)
    # A text is not a number, and has no entries.
    return op in _NUMBERS or op in LENGTH_TESTS or (op in _DATES and limit_of(op, values) is None)


def _part(op: str, parts: Sequence[str], text: Any, is_text: Condition) -> Condition:
    # Every text contains the empty text.
    return any_of(TextPart(text, op, part) if part else is_text for part in parts)


def _pattern(pattern: str, text: Any, is_text: Condition) -> Bounds:
    found = _LITERAL.fullmatch(pattern)
    if found is None:
        return unknown("SQL has no such regular expressions (matches)", at_most=is_text)
    start, escaped, end = found.groups()
    literal = re.sub(r"\\(.)", r"\1", escaped)
    if start and end:
        return exactly(OneOf(text, (literal,)))
    op = "startsWith" if start else "endsWith" if end else "contains"
    return exactly(_part(op, (literal,), text, is_text))
