"""The type of a flag's value follows from its default, in the type checker and at run time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final, TypeAlias, TypeVar

from featureflags.core.types import JSONValue

JSONDefault: TypeAlias = (
    "bool | int | float | str | Sequence[JSONDefault] | Mapping[str, JSONDefault] | None"
)
"""A default as callers write it: `list[str]` and `dict[str, int]` are accepted too."""

ScalarT = TypeVar("ScalarT", bool, int, float, str)
"""A type that a default decides. For every other default the value may be any JSON."""


class Mismatch(Enum):
    MISMATCH = 0


MISMATCH: Final = Mismatch.MISMATCH
"""The value does not have the type of the default."""


def in_type_of(example: object, value: JSONValue) -> JSONValue | Mismatch:
    """`value` in the type of `example`, or MISMATCH.

    True is not a number. An int asks for whole numbers, so that 3.0 becomes 3 and 2.5 does not
    match; a float takes every finite number. A list, a dict or None as the example allows any JSON.
    """
    if isinstance(example, bool):
        return value if isinstance(value, bool) else MISMATCH
    if isinstance(example, str):
        return value if isinstance(value, str) else MISMATCH
    if isinstance(example, int | float):
        return _as_number(value, is_whole=isinstance(example, int))
    return value


def _as_number(value: JSONValue, *, is_whole: bool) -> float | Mismatch:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return MISMATCH
    if is_whole:
        if isinstance(value, int):
            return value
        return int(value) if value.is_integer() else MISMATCH
    try:
        number = float(value)
    except OverflowError:
        return MISMATCH
    return number if math.isfinite(number) else MISMATCH
