"""One way for a frozen value to become JSON types: every field, and the properties that it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from typing import Any, ClassVar


class JSONView:
    """A dataclass that surfaces show as JSON.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, slots=True, kw_only=True)
    ... class Share(JSONView):
    ...     JSON_ALSO = ("percent",)
    ...     weight: int
    ...     @property
    ...     def percent(self) -> float:
    ...         return self.weight / 1000
    >>> Share(weight=25_000).to_dict()
    {'weight': 25000, 'percent': 25.0}
    """

    __slots__ = ()

    JSON_ALSO: ClassVar[tuple[str, ...]] = ()
    """Properties that are shown beside the fields."""
    JSON_WITHOUT: ClassVar[frozenset[str]] = frozenset()
    """Fields that are not shown."""

    def to_dict(self) -> dict[str, Any]:
        """Fields and properties by name; values inside them likewise, tuples as lists."""
        value: Any = self
        names = [each.name for each in fields(value) if each.name not in self.JSON_WITHOUT]
        return {name: _json(getattr(self, name)) for name in (*names, *self.JSON_ALSO)}


def _json(value: Any) -> Any:
    if isinstance(value, JSONView):
        return value.to_dict()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _json(item) for key, item in value.items()}
    return value
