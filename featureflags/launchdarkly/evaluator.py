"""One evaluation by the real SDK, and what its reason means for the caller."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Collection, Mapping
from typing import Any, cast

import msgspec
from ldclient import Context
from ldclient.evaluation import EvaluationDetail
from ldclient.versioned_data_kind import FEATURES

from featureflags.contexts.results import Degradation
from featureflags.core.conf import app_settings
from featureflags.core.monitoring import report
from featureflags.core.types import JSONValue
from featureflags.flags.overrides import serving
from featureflags.launchdarkly.client import client, detail_of, feature_store, has_flags
from featureflags.launchdarkly.override_store import only_these

logger = logging.getLogger(__name__)

_BY_ERROR = {
    "CLIENT_NOT_READY": Degradation.LAUNCHDARKLY_UNAVAILABLE,
    "FLAG_NOT_FOUND": Degradation.FLAG_NOT_FOUND,
    "WRONG_TYPE": Degradation.WRONG_TYPE,
}
"""By the SDK's `errorKind`; every other kind means that the evaluation failed."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """LaunchDarkly's answer, or a default and why. A struct: one is made for each check."""

    value: JSONValue
    variation: int | None
    reason: Mapping[str, Any]
    """Perhaps the SDK's own: not to be changed, or given away."""
    degraded: Degradation | None = None
    is_forced: bool = False
    """LaunchDarkly was not asked: an override, or the environment, says so."""


def connect() -> None:
    """Make the client now, if there is none, and wait for its flags. Never raises."""
    try:
        client()
    except Exception as error:  # noqa: BLE001 - the evaluation that follows answers for it
        _report(error)


def answer_of(detail: EvaluationDetail, default: JSONValue) -> Answer:
    """What such a detail means: the value, or the default and why."""
    index, reason = detail.variation_index, detail.reason
    return Answer(
        value=default if index is None else cast("JSONValue", detail.value),
        variation=index,
        reason=reason,
        degraded=_degradation(reason),
    )


def evaluate_all(
    context: Context, keys: Collection[str] | None = None
) -> Mapping[str, Answer] | None:
    """Every flag of LaunchDarkly for a context, or those of `keys` that it has. Sends no events.

    None if the SDK has no flags.
    """
    try:
        with only_these(keys):
            state = client().all_flags_state(context, with_reasons=True)
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises must not reach a page
        _report(error)
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


def variation_count(flag: str) -> int:
    """How many variations LaunchDarkly's flag has; 0 if it has no such flag."""
    try:
        found: Any = feature_store().get(FEATURES, flag)
    except Exception as error:  # noqa: BLE001 - whatever the SDK's store raises must not reach a page
        _report(error)
        return 0
    return 0 if found is None else len(found.variations)


def evaluate_as(flag: str, context: Context, variation: int) -> None:
    """Send the event of an evaluation that gave this variation. Never raises."""
    with serving(flag, variation):
        detail_of(flag, context, None)


def client_side_flags() -> frozenset[str]:
    """The keys of the flags that LaunchDarkly shows to browsers. Nothing is evaluated."""
    try:
        flags: Mapping[str, Any] = feature_store().all(FEATURES)
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises must not reach a page
        _report(error)
        return frozenset()
    return frozenset(key for key, flag in flags.items() if flag.get("clientSide", False))


def browser_state(context: Context) -> dict[str, Any]:
    """The flags that LaunchDarkly shows to browsers, as its SDK there starts with them: values, and in
    `$flagsState` their versions and variations. Sends no events."""
    try:
        state = client().all_flags_state(context, client_side_only=True)
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises must not reach a page
        _report(error)
        return {"$flagsState": {}, "$valid": False}
    return {**state.to_json_dict(), "$valid": state.valid and has_flags()}


def secure_mode_hash(context: Context) -> str | None:
    """What LaunchDarkly asks a browser for in secure mode; None without an SDK key.

    As the SDK computes it, which has another key while flags come from a file.
    """
    key = app_settings().sdk_key
    if not key:
        return None
    return hmac.digest(key.encode(), context.fully_qualified_key.encode(), hashlib.sha256).hex()


def track(event: str, context: Context, data: JSONValue, metric_value: float | None) -> None:
    """Tell LaunchDarkly that something happened. Never raises."""
    try:
        client().track(event, context, data, metric_value)
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises must not reach a page
        _report(error)


def _answer(value: JSONValue, metadata: Mapping[str, Any]) -> Answer:
    reason = metadata.get("reason") or {"kind": "UNKNOWN"}
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


def _report(error: Exception) -> None:
    name = type(error).__name__
    report(logger, "launchdarkly_failed", "LaunchDarkly's client failed: %s", name)
