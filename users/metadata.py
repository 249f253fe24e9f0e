"""What a user's `metadata` may contain. Knows neither the ORM nor HTTP.

Limits are set where one of the layers behind would otherwise fail: PostgreSQL's jsonb refuses
NUL and lone surrogates, JSON has no NaN, a number beyond a double is infinite to LaunchDarkly.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

MAX_BYTES = 16 * 1024
"""Of the UTF-8 JSON text without blanks."""
MAX_DEPTH = 5
"""Nested objects and lists, the metadata object itself counted."""


def find_problem(metadata: object) -> str | None:
    """The first problem of the metadata, in words that name the place; None if it is valid."""
    if not isinstance(metadata, dict):
        return f"Metadata must be a JSON object, not {_name_of(metadata)}."
    problem = next(_problems(metadata, "metadata", 1), None)
    if problem is None:
        size = len(json.dumps(metadata, ensure_ascii=False, separators=(",", ":")).encode())
        if size > MAX_BYTES:
            problem = f"Metadata takes {size:,} bytes as JSON; {MAX_BYTES:,} are allowed."
    return problem


def _problems(value: object, place: str, depth: int) -> Iterator[str]:
    if isinstance(value, dict):
        yield from _object_problems(value, place, depth)
    elif isinstance(value, list):
        yield from _depth_problems(place, depth)
        if depth <= MAX_DEPTH:
            for index, item in enumerate(value):
                yield from _problems(item, f"{place}[{index}]", depth + 1)
    elif isinstance(value, str):
        yield from _text_problems(value, place)
    elif isinstance(value, int | float):
        yield from _number_problems(value, place)
    elif value is not None:
        yield f"{place} is {_name_of(value)}, which is not a JSON value."


def _object_problems(value: dict[object, object], place: str, depth: int) -> Iterator[str]:
    yield from _depth_problems(place, depth)
    if depth > MAX_DEPTH:
        return
    for key, item in value.items():
        if not isinstance(key, str):
            yield f"{place} has the key {key!r}, which is {_name_of(key)}, not a string."
            continue
        yield from _text_problems(key, f"a key of {place}")
        yield from _problems(item, f"{place}.{_shown(key)}", depth + 1)


def _depth_problems(place: str, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        yield f"{place[:80]} is nested deeper than {MAX_DEPTH} levels."


def _text_problems(text: str, place: str) -> Iterator[str]:
    if "\x00" in text:
        yield f"{place} contains a NUL character, which PostgreSQL cannot store."
    try:
        text.encode()
    except UnicodeEncodeError:
        yield f"{place} contains a lone surrogate, which is not Unicode text."


def _number_problems(value: float, place: str) -> Iterator[str]:
    try:
        finite = math.isfinite(value)
    except OverflowError:
        yield f"{place} is a number beyond what a double can hold."
    else:
        if not finite:
            yield f"{place} is {value}, which JSON cannot hold."


def _shown(key: str) -> str:
    return key[:40].encode("ascii", "backslashreplace").decode()


def _name_of(value: object) -> str:
    names = {list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    numbers = {int: "a number", float: "a number"}
    return {**names, **numbers}.get(type(value), type(value).__name__)
