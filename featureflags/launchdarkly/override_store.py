"""Overrides where the SDK reads its flags: a synthetic flag, or none, in the place of the real one.

So `variation`, `variation_detail`, `all_flags_state` and prerequisites all follow `override_flag`,
also where a project calls the SDK itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ldclient.versioned_data_kind import FEATURES

from featureflags.core.types import JSONValue
from featureflags.flags.overrides import MISSING, Missing, Overrides

KEPT = ("key", "version", "clientSide", "clientSideAvailability", "salt")
"""What a synthetic flag has of the real one. Not its tracking: an override must not count as an exposure."""


def overridden_flag(key: str, value: JSONValue | Missing, real: Any | None) -> Any | None:
    """The flag that replaces `real` (the SDK's flag, None if there is none) under an override.

    It keeps the variations, so that a prerequisite on one of them sees which one is served; a
    value that is none of them is added behind them.
    """
    if value is MISSING:
        return None
    source: Mapping[str, Any] = {} if real is None else real.to_json_dict()
    variations = list(source.get("variations") or ())
    index = _index_of(value, variations)
    if index == len(variations):
        variations.append(value)
    flag = {"key": key, "version": 1, **{name: source[name] for name in KEPT if name in source}}
    return FEATURES.decode(
        {
            **flag,
            "on": True,
            "variations": variations,
            "offVariation": index,
            "fallthrough": {"variation": index},
            "excludeFromSummaries": True,
        }
    )


def overridden_everywhere(flags: dict[str, Any], overrides: Overrides) -> dict[str, Any]:
    """All flags by key, with the overrides in their places."""
    changed = dict(flags)
    for key, value in overrides.items():
        flag = overridden_flag(key, value, flags.get(key))
        if flag is None:
            changed.pop(key, None)
        else:
            changed[key] = flag
    return changed


def _index_of(value: JSONValue, variations: list[Any]) -> int:
    """The index of the value, or the first free one. True is not 1."""
    for index, variation in enumerate(variations):
        if _same(value, variation):
            return index
    return len(variations)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, float) and math.isnan(one):
        return False
    return bool(one == other)
