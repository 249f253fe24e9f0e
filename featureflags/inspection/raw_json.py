"""LaunchDarkly's JSON, and how to reach into it where it may not be as documented."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Raw: TypeAlias = Mapping[str, Any]
"""One flag, segment, rule or clause in LaunchDarkly's JSON."""

RawData: TypeAlias = Mapping[str, Mapping[str, Raw]]
"""All of them by key, under `flags` and `segments`."""


def items(raw: Raw, name: str) -> list[Any]:
    """A list; empty where there is none."""
    found = raw.get(name)
    return found if isinstance(found, list) else []


def objects(raw: Raw, name: str) -> list[Raw]:
    """The objects of a list; none where it holds others, or is no list."""
    return [item for item in items(raw, name) if isinstance(item, Mapping)]


def text(value: object) -> str:
    """A text; empty where it is something else."""
    return value if isinstance(value, str) else ""


def whole(value: object) -> int:
    """A whole number; 0 where it is something else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
