"""Overrides where the SDK reads its flags: a synthetic flag, or none, in the place of the real one.

So `variation`, `variation_detail`, `all_flags_state` and prerequisites all follow `override_flag`,
also where a project calls the SDK itself.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final

from ldclient.versioned_data_kind import FEATURES

from featureflags.core.types import JSONValue
from featureflags.flags.overrides import MISSING, Missing, Overrides, Shown

KEPT = ("key", "version", "clientSide", "clientSideAvailability", "salt")
"""What a synthetic flag has of the real one. Not its tracking: an override must not count as an exposure."""


NO_TARGETING: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "on": True,
        "prerequisites": [],
        "targets": [],
        "contextTargets": [],
        "rules": [],
        # Nobody knows now whether it was shown within an experiment.
        "trackEventsFallthrough": False,
    }
)


def overridden_flag(key: str, value: JSONValue | Missing | Shown, real: Any | None) -> Any | None:
    """The flag that replaces `real` (the SDK's flag, None if there is none) under an override.

    It keeps the variations, so that a prerequisite on one of them sees which one is served; a
    value that is none of them is added behind them.
    """
    if value is MISSING:
        return None
    source: Mapping[str, Any] = {} if real is None else real.to_json_dict()
    if isinstance(value, Shown):
        served = {"fallthrough": {"variation": value.variation}}
        return None if real is None else FEATURES.decode({**source, **NO_TARGETING, **served})
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


_chosen: ContextVar[Collection[str] | None] = ContextVar("featureflags_chosen", default=None)


@contextmanager
def only_these(keys: Collection[str] | None) -> Iterator[None]:
    """Let a store that is asked for all flags answer these alone. None: all of them.

    So `all_flags_state` evaluates a few flags, at half the price of a `variation` for each. Prerequisites
    are asked for by key, and are found as before.
    """
    token = _chosen.set(keys)
    try:
        yield
    finally:
        _chosen.reset(token)


def overridden_everywhere(flags: Mapping[str, Any], overrides: Overrides) -> dict[str, Any]:
    """All flags by key, or those of `only_these`, with the overrides in their places."""
    chosen = _chosen.get()
    keys = flags.keys() if chosen is None else chosen
    changed = {key: flags[key] for key in keys if key in flags}
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
