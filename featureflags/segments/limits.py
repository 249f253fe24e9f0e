"""Which JSON a definition may hold: what every database, LaunchDarkly and RE2 can keep.

Pure functions that answer in words, or None where all is well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from featureflags.segments.regexes import Regex
from featureflags.segments.values import is_number, parse_instant, parse_semver
from featureflags.segments.wording import ValueKind

MAX_DEPTH: Final = 20
"""How deep lists and objects may nest inside one clause value."""


def json_problem(value: object, depth: int = 0) -> str | None:
    """Why a value is no JSON that we keep, or None: NaN, numbers beyond a double, half
    characters, NUL, nesting deeper than ``MAX_DEPTH``, and types that JSON lacks."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return text_problem(value)
    if isinstance(value, int | float):
        return number_problem(value)
    if not isinstance(value, list | tuple | dict):
        return f"a value of type {type(value).__name__} is not JSON"
    if depth >= MAX_DEPTH:
        return f"a value may nest at most {MAX_DEPTH} deep"
    return next(filter(None, _inside(value, depth + 1)), None)


def _inside(
    value: list[object] | tuple[object, ...] | dict[object, object], depth: int
) -> Iterator[str | None]:
    if not isinstance(value, dict):
        for item in value:
            yield json_problem(item, depth)
        return
    for name, item in value.items():
        yield text_problem(name) if isinstance(name, str) else "an object's names must be text"
        yield json_problem(item, depth)


def text_problem(text: str) -> str | None:
    """Why a text cannot be kept, or None: PostgreSQL refuses NUL, UTF-8 half characters."""
    if "\0" in text:
        return "text may not hold the character NUL"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "text may not hold half a character (a lone surrogate)"
    return None


def number_problem(number: int | float) -> str | None:
    """Why a number cannot be kept, or None: JSON numbers are finite doubles."""
    try:
        finite = math.isfinite(number)
    except OverflowError:
        finite = False
    return None if finite else "a number must be finite and within the range of a double"


def _string(value: object) -> str | None:
    return None if isinstance(value, str) else f"{_shown(value)} is not text"


def _regex(value: object) -> str | None:
    if not isinstance(value, str):
        return _string(value)
    try:
        Regex(value)
    except ValueError as error:
        return f"{_shown(value)} is not a valid expression: {error}"
    return None


def _number(value: object) -> str | None:
    return None if is_number(value) else f"{_shown(value)} is not a number"


def _instant(value: object) -> str | None:
    if parse_instant(value) is not None:
        return None
    return (
        f"{_shown(value)} is neither an RFC 3339 date and time with an offset "
        "(2025-01-31T12:00:00Z) nor a number of milliseconds"
    )


def _semver(value: object) -> str | None:
    if parse_semver(value) is not None:
        return None
    return f"{_shown(value)} is not a semantic version (2.1.0)"


def _segment(value: object) -> str | None:
    if isinstance(value, str) and value:
        return None
    return f"{_shown(value)} is not the key of a segment"


def _nothing(value: object) -> str | None:
    return None if value is True else "the values must be [true]"


_CHECKS: Mapping[ValueKind, Callable[[object], str | None]] = {
    ValueKind.ANY: lambda _value: None,
    ValueKind.STRING: _string,
    ValueKind.REGEX: _regex,
    ValueKind.NUMBER: _number,
    ValueKind.INSTANT: _instant,
    ValueKind.SEMVER: _semver,
    ValueKind.SEGMENT: _segment,
    ValueKind.NOTHING: _nothing,
}


def value_problem(kind: ValueKind, value: object) -> str | None:
    """Why a value does not suit an operator that takes this kind of value, or None."""
    return json_problem(value) or _CHECKS[kind](value)


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:79] + "…"
