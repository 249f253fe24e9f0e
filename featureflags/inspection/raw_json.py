"""Safe access to LaunchDarkly's JSON, which may not be as documented."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Raw: TypeAlias = Mapping[str, Any]
"""One flag, segment, rule or clause in LaunchDarkly's JSON."""

RawData: TypeAlias = Mapping[str, Mapping[str, Raw]]
"""All of them by key, under `flags` and `segments`."""


def items(raw: Raw, name: str) -> list[Any]:
    """The list of that name; empty if there is none."""
    found = raw.get(name)
    return found if isinstance(found, list) else []


def objects(raw: Raw, name: str) -> list[Raw]:
    """The JSON objects in that list; anything else in it is skipped."""
    return [item for item in items(raw, name) if isinstance(item, Mapping)]


def text(value: object) -> str:
    """The value if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def whole(value: object) -> int:
    """The value if it is an int, else 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
