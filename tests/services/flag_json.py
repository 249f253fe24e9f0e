"""Flags and segments in LaunchDarkly's own JSON, complete and valid. Pure data, imports nothing.

The server in `launchdarkly.py` sets the versions; those here are the first ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

JsonObject = dict[str, Any]
"""`Any`: a flag's value and a clause's values are whatever JSON the flag's owner wrote."""

Rollout = Mapping[str, Any]
"""The result of `rollout`, which may be given in place of one value."""

BOOLEANS = (True, False)
ON_INDEX = 0
WHOLE_ROLLOUT = 100_000
"""LaunchDarkly counts the weights of a rollout in thousandths of a percent."""


def clause(attribute: str, op: str, *values: object, negate: bool = False) -> JsonObject:
    """One condition of a rule, on a context of kind user."""
    return {
        "contextKind": "user",
        "attribute": attribute,
        "op": op,
        "values": list(values),
        "negate": negate,
    }


def rule(*clauses: JsonObject, variation: int = ON_INDEX, rule_id: str = "rule") -> JsonObject:
    """All clauses hold: serve the variation of this index (0 is True in a boolean flag)."""
    return {
        "id": rule_id,
        "clauses": list(clauses),
        "variation": variation,
        "trackEvents": False,
    }


def segment_rule(
    *segments: str, variation: int = ON_INDEX, negate: bool = False, rule_id: str | None = None
) -> JsonObject:
    """The rule as our users write it: the context's `segments` holds one of these keys."""
    test = clause("segments", "in", *segments, negate=negate)
    return rule(test, variation=variation, rule_id=rule_id or f"rule-{'-'.join(segments)}")


def rollout(*weights: int, bucket_by: str = "key") -> JsonObject:
    """A percentage rollout over the variations in order; weights in thousandths of a percent.

    Raises `ValueError` if they do not add up to 100 %.
    """
    if sum(weights) != WHOLE_ROLLOUT:
        raise ValueError(f"weights add up to {sum(weights)}, not {WHOLE_ROLLOUT}")
    return {
        "kind": "rollout",
        "contextKind": "user",
        "bucketBy": bucket_by,
        "variations": [
            {"variation": index, "weight": weight} for index, weight in enumerate(weights)
        ],
    }


def prerequisite(key: str, variation: int = ON_INDEX) -> JsonObject:
    """The flag `key` must serve the variation of this index first."""
    return {"key": key, "variation": variation}


def flag(
    key: str,
    variations: Sequence[object],
    *,
    on: bool,
    fallthrough: int | Rollout,
    off_variation: int | None,
    rules: Iterable[JsonObject] = (),
    targets: Mapping[int, Iterable[str]] | None = None,
    prerequisites: Iterable[JsonObject] = (),
    client_side: bool = False,
    track_events: bool = False,
) -> JsonObject:
    """Any flag, in terms of indexes into `variations`; `targets` maps an index to user keys."""
    direct = (
        {"variation": fallthrough} if isinstance(fallthrough, int) else {"rollout": fallthrough}
    )
    return {
        "key": key,
        "version": 1,
        "deleted": False,
        "on": on,
        "variations": list(variations),
        "offVariation": off_variation,
        "fallthrough": direct,
        "prerequisites": list(prerequisites),
        "targets": [
            {"variation": index, "values": list(keys)} for index, keys in (targets or {}).items()
        ],
        "contextTargets": [],
        "rules": list(rules),
        "salt": f"salt-of-{key}",
        "clientSide": client_side,
        "clientSideAvailability": {"usingMobileKey": False, "usingEnvironmentId": client_side},
        "trackEvents": track_events,
        "trackEventsFallthrough": False,
        "debugEventsUntilDate": None,
    }


def boolean_flag(
    key: str,
    *,
    on: bool = True,
    rules: Iterable[JsonObject] = (),
    fallthrough: bool | Rollout = False,
    prerequisites: Iterable[JsonObject] = (),
    client_side: bool = False,
    track_events: bool = False,
) -> JsonObject:
    """True and False, in this order; False while the flag is off.

    `on` turns targeting on. A context that matches no rule gets `fallthrough`.
    """
    direct = BOOLEANS.index(fallthrough) if isinstance(fallthrough, bool) else fallthrough
    return flag(
        key,
        BOOLEANS,
        on=on,
        rules=rules,
        fallthrough=direct,
        off_variation=BOOLEANS.index(False),
        prerequisites=prerequisites,
        client_side=client_side,
        track_events=track_events,
    )


def string_flag(
    key: str,
    variations: Sequence[str] = ("control", "treatment"),
    *,
    on: bool = True,
    rules: Iterable[JsonObject] = (),
    fallthrough: str | Rollout | None = None,
    off: str | None = None,
    prerequisites: Iterable[JsonObject] = (),
    client_side: bool = False,
    track_events: bool = False,
) -> JsonObject:
    """Strings. `fallthrough` and `off` are values; the default is the first variation.

    Raises `ValueError` for a value that is not among the variations.
    """
    direct = fallthrough if isinstance(fallthrough, Mapping) else fallthrough or variations[0]
    return flag(
        key,
        variations,
        on=on,
        rules=rules,
        fallthrough=variations.index(direct) if isinstance(direct, str) else direct,
        off_variation=variations.index(off or variations[0]),
        prerequisites=prerequisites,
        client_side=client_side,
        track_events=track_events,
    )


def segment(
    key: str,
    *,
    included: Iterable[str] = (),
    excluded: Iterable[str] = (),
    rules: Iterable[Sequence[JsonObject]] = (),
) -> JsonObject:
    """A LaunchDarkly segment; each rule is its clauses."""
    return {
        "key": key,
        "version": 1,
        "deleted": False,
        "included": list(included),
        "excluded": list(excluded),
        "includedContexts": [],
        "excludedContexts": [],
        "rules": [{"id": f"rule-{n}", "clauses": list(each)} for n, each in enumerate(rules)],
        "salt": f"salt-of-{key}",
        "unbounded": False,
    }


def malformed_flag(key: str) -> JsonObject:
    """A flag that the SDK refuses to parse: a rule without `clauses`."""
    broken = boolean_flag(key)
    broken["rules"] = [{"id": "broken", "variation": ON_INDEX}]
    return broken
