"""Numbers in JSON as both databases store them."""

from __future__ import annotations

import math
import operator
from decimal import Decimal
from typing import Any

LARGE = 2.0**53
"""From here on the shortest digits of a double may be another whole number than the double."""


def normalised(value: Any) -> Any:
    """The value with every float from 2**53 on, all of them whole, as the integer that its digits say.

    PostgreSQL stores 1e23 by its digits, 1 and 23 zeros, which is another number than the double.
    Returns the same object where nothing changes.
    """
    if isinstance(value, float):
        is_large = math.isfinite(value) and abs(value) >= LARGE
        return int(Decimal(repr(value))) if is_large else value
    if isinstance(value, dict):
        changed = {key: normalised(item) for key, item in value.items()}
        return value if all(changed[key] is value[key] for key in value) else changed
    if isinstance(value, list):
        items = [normalised(item) for item in value]
        return value if all(map(operator.is_, items, value)) else items
    return value
