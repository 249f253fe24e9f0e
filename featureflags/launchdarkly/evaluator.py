"""One evaluation by the real SDK, and what its reason means for whoever asked."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from ldclient import Context

from featureflags.boundary import json_problem
from featureflags.launchdarkly.client import client, has_flags
from featureflags.monitoring import report
from featureflags.results import Degradation
from featureflags.types import JSONValue

logger = logging.getLogger(__name__)

_BY_ERROR = {
    "CLIENT_NOT_READY": Degradation.LAUNCHDARKLY_UNAVAILABLE,
    "FLAG_NOT_FOUND": Degradation.FLAG_NOT_FOUND,
    "WRONG_TYPE": Degradation.WRONG_TYPE,
}
"""By the SDK's `errorKind`; every other kind means that the evaluation failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """LaunchDarkly's answer, or a default and why."""

    value: JSONValue
    variation: int | None
    reason: dict[str, Any]
    degraded: Degradation | None = None


def connect() -> None:
    """Make the client now, if there is none, and wait for its flags. Never raises."""
    try:
        client()
    except Exception as error:  # noqa: BLE001 - the evaluation that follows answers for it
        _broken(error, None)


def evaluate(flag: str, context: Context, default: JSONValue) -> Answer:
    """The value of a flag for a context, or the default and why. Never raises."""
    # Events tell of the default too, and one that is no JSON would cost those of others.
    sayable = default if json_problem(default) is None else None
    try:
        detail = client().variation_detail(flag, context, sayable)
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises must not reach a page
        return _broken(error, default)
    return Answer(
        value=default if detail.is_default_value() else cast("JSONValue", detail.value),
        variation=detail.variation_index,
        reason=dict(detail.reason),
        degraded=_degradation(detail.reason),
    )


def evaluate_all(context: Context) -> Mapping[str, Answer] | None:
    """Every flag of LaunchDarkly for a context; None if the SDK has no flags. Sends no events."""
    try:
        state = client().all_flags_state(context, with_reasons=True)
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises must not reach a page
        _broken(error, None)
        return None
    # The client that only looks takes an empty store for a ready one.
    if not state.valid or not has_flags():
        return None
    values = state.to_json_dict()
    metadata = values.get("$flagsState", {})
    return {
        key: _answer(value, metadata.get(key, {}))
        for key, value in values.items()
        if not key.startswith("$")
    }


def absent(default: JSONValue, *, is_connected: bool) -> Answer:
    """The answer for a declared flag that LaunchDarkly does not list, or has not sent yet."""
    kind = "FLAG_NOT_FOUND" if is_connected else "CLIENT_NOT_READY"
    reason = {"kind": "ERROR", "errorKind": kind}
    return Answer(value=default, variation=None, reason=reason, degraded=_BY_ERROR[kind])


def client_side_flags(context: Context) -> frozenset[str]:
    """The keys of the flags that LaunchDarkly shows to browsers."""
    try:
        state = client().all_flags_state(context, client_side_only=True)
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises must not reach a page
        _broken(error, None)
        return frozenset()
    return frozenset(state.to_values_map())


def track(event: str, context: Context, data: JSONValue, metric_value: float | None) -> None:
    """Tell LaunchDarkly that something happened. Never raises."""
    try:
        client().track(event, context, data, metric_value)
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises must not reach a page
        _broken(error, None)


def _answer(value: JSONValue, metadata: Mapping[str, Any]) -> Answer:
    reason = dict(metadata.get("reason") or {"kind": "UNKNOWN"})
    return Answer(
        value=value,
        variation=metadata.get("variation"),
        reason=reason,
        degraded=_degradation(reason),
    )


def _degradation(reason: Mapping[str, Any]) -> Degradation | None:
    if reason.get("kind") != "ERROR":
        return None
    kind = str(reason.get("errorKind"))
    if kind == "FLAG_NOT_FOUND" and not has_flags():
        # The client that only looks never waits, and takes an empty store for a ready one.
        return Degradation.LAUNCHDARKLY_UNAVAILABLE
    return _BY_ERROR.get(kind, Degradation.EVALUATION_FAILED)


def _broken(error: Exception, default: JSONValue) -> Answer:
    name = type(error).__name__
    report(logger, "launchdarkly_failed", "LaunchDarkly's client failed: %s", name)
    reason = {"kind": "ERROR", "errorKind": "EXCEPTION"}
    return Answer(
        value=default, variation=None, reason=reason, degraded=Degradation.EVALUATION_FAILED
    )
