"""Which values are JSON that LaunchDarkly accepts. Pure: imports only types.

One value that is not JSON makes the SDK drop a whole batch of events, also those of other users. So
types are compared exactly: a lazy string or an enum behaves like text until an event is written.
"""

from __future__ import annotations

import math
from typing import Any, Final, cast

import msgspec

from featureflags.core.types import JSONValue

MAX_DEPTH: Final = 20
MAX_ITEMS: Final = 50_000
"""The most values inside one value: a list that contains itself would have no end."""

FEW: Final = 1_000
_TEXTS: Final = frozenset({str})
_CONTAINERS: Final = frozenset({list, dict})


def json_problem(value: object) -> str | None:
    """Why a value is not JSON for LaunchDarkly, as the end of a sentence. None: it is JSON.

    The sentence is logged and never contains the value, which may be private.
    """
    kind = type(value)
    if isinstance(value, str) and kind is str:  # by far the most frequent
        return None if value.isascii() else text_problem(value)
    if (
        isinstance(value, list)
        and kind is list
        and len(value) <= FEW
        and _TEXTS.issuperset(map(type, value))
    ):
        return text_problem(
            "".join(cast("list[str]", value))
        )  # a short list of texts, such as groups
    return _inner_problem(value) if kind in _CONTAINERS else _scalar_problem(value, kind)


def _inner_problem(container: object) -> str | None:
    pending: list[tuple[object, int]] = [(container, 0)]
    seen = 0
    while pending:
        item, depth = pending.pop()
        why: str | None
        if type(item) in _CONTAINERS:
            inside = cast("list[object] | dict[object, object]", item)
            seen += len(inside)
            why = _container_problem(inside, depth, seen)
            values = inside.values() if isinstance(inside, dict) else inside
            pending.extend((each, depth + 1) for each in values)
        else:
            why = _scalar_problem(item, type(item))
        if why is not None:
            return why
    return None


def _container_problem(
    inside: list[object] | dict[object, object], depth: int, seen: int
) -> str | None:
    if depth >= MAX_DEPTH:
        return f"is nested deeper than {MAX_DEPTH} levels"
    if seen > MAX_ITEMS:
        return f"holds more than {MAX_ITEMS:,} values"
    return _keys_problem(inside) if isinstance(inside, dict) else None


def text_problem(text: str) -> str | None:
    """Why a text cannot be encoded as UTF-8. None: it can."""
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        return "contains a lone surrogate"
    return None


def json_size(value: JSONValue) -> int:
    """The size in bytes of a value as UTF-8 JSON without blanks. The value must be JSON."""
    return len(msgspec.json.encode(value))


def copied(value: JSONValue) -> JSONValue:
    """The value with copied lists and dicts: the caller may change theirs before it is sent."""
    if isinstance(value, list):
        return [copied(item) for item in value]
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return value


def _scalar_problem(value: Any, kind: type) -> str | None:
    if value is None or kind is bool:
        return None
    if kind is str:
        return text_problem(value)
    if kind is int or kind is float:
        return _number_problem(value)
    return f"is {_article(kind.__name__)}, which is not a JSON value"


def _number_problem(value: float) -> str | None:
    try:
        return None if math.isfinite(value) else f"is {value}, which JSON cannot express"
    except OverflowError:
        return "is a number beyond what a double can hold"


def _keys_problem(value: dict[Any, object]) -> str | None:
    for key in value:
        if type(key) is not str:
            return f"has a key that is {_article(type(key).__name__)}, not text"
        if text_problem(key) is not None:
            return "has a key that contains a lone surrogate"
    return None


def _article(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
