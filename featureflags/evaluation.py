"""The facade: every surface asks for flags here, and nowhere else.

    is_enabled("new-checkout", request.user)
    variation("checkout-colour", user_id, default="blue")
    variation_detail("new-checkout", user).degraded
    all_flags(request=request)

`user` is a `User`, the key of one, or None. With `request=` it is whoever is behind the request,
or a visitor with a stable key of their own; `anonymous_key=` names a visitor without a request.
Extra `attributes` are for LaunchDarkly, in that call alone: segments never see them.

Precedence: `override_flag`, `FORCE_FLAG_<NAME>`, LaunchDarkly, the default. Nothing here raises
when the database, the cache or LaunchDarkly fails: the answer says why it is degraded, and a
`strict` call raises `FlagUnavailable`. Each function has an async twin that keeps the database
off the event loop: `ais_enabled`, `avariation`, `avariation_detail`, `aall_flags`, `atrack`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Final, TypeAlias

from asgiref.sync import sync_to_async
from django.http import HttpRequest

from featureflags.cache import usage
from featureflags.contexts import InvalidAttribute, UserContext, event_data, with_extra
from featureflags.flags import Flag, FlagType, declared_flags
from featureflags.launchdarkly import evaluator
from featureflags.launchdarkly.client import is_looking, looking
from featureflags.monitoring import report
from featureflags.overrides import (
    MISSING,
    environment_name,
    forced_flags,
    overridden_flags,
    override_flag,
)
from featureflags.resolving import Subject, resolve
from featureflags.results import Degradation, Evaluation, FlagUnavailable
from featureflags.types import JSONValue

__all__ = [
    "Evaluation",
    "FlagUnavailable",
    "InvalidAttribute",
    "aall_flags",
    "ais_enabled",
    "all_flags",
    "atrack",
    "avariation",
    "avariation_detail",
    "is_enabled",
    "looking",
    "override_flag",
    "track",
    "variation",
    "variation_detail",
]

logger = logging.getLogger(__name__)

FlagKey: TypeAlias = str | Flag
ExtraAttributes: TypeAlias = Mapping[str, object]


class _Unset(Enum):
    UNSET = 0


UNSET: Final = _Unset.UNSET
"""No default was passed: the declared one holds, else None (False for `is_enabled`)."""


def is_enabled(
    flag: FlagKey,
    user: Subject = None,
    *,
    default: bool | _Unset = UNSET,
    attributes: ExtraAttributes | None = None,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
    strict: bool = False,
) -> bool:
    """Whether a boolean flag is on. A value of another type gives the default and a warning.

    Raises FlagUnavailable if `strict` and the answer is degraded, and InvalidAttribute where the
    settings want it.
    """
    context = resolve(user, request=request, anonymous_key=anonymous_key)
    return _boolean(flag, context, default, attributes, strict=strict)


def variation(
    flag: FlagKey,
    user: Subject = None,
    *,
    default: JSONValue | _Unset = UNSET,
    attributes: ExtraAttributes | None = None,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
    strict: bool = False,
) -> JSONValue:
    """The value of a flag of any type. For a declared flag, always of the declared type."""
    context = resolve(user, request=request, anonymous_key=anonymous_key)
    return _checked(_evaluate(flag, context, default, attributes), strict=strict).value


def variation_detail(
    flag: FlagKey,
    user: Subject = None,
    *,
    default: JSONValue | _Unset = UNSET,
    attributes: ExtraAttributes | None = None,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
) -> Evaluation:
    """The value with LaunchDarkly's reason, and why it is degraded if it is."""
    context = resolve(user, request=request, anonymous_key=anonymous_key)
    return _evaluate(flag, context, default, attributes)


def all_flags(
    user: Subject = None,
    *,
    attributes: ExtraAttributes | None = None,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
) -> dict[str, Evaluation]:
    """Every flag that LaunchDarkly has or that is declared, by key, sorted. Sends no events."""
    context = resolve(user, request=request, anonymous_key=anonymous_key)
    return _evaluate_all(context, attributes)


def track(
    event: str,
    user: Subject = None,
    *,
    data: JSONValue = None,
    metric_value: float | None = None,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
) -> None:
    """Tell LaunchDarkly that this user did something, for its experiments."""
    context = resolve(user, request=request, anonymous_key=anonymous_key)
    _track(event, context, data, metric_value)


async def ais_enabled(
    flag: FlagKey,
    user: Subject = None,
    *,
    default: bool | _Unset = UNSET,
    attributes: ExtraAttributes | None = None,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
    strict: bool = False,
) -> bool:
    """As `is_enabled`."""
    context = await _aresolve(user, request=request, anonymous_key=anonymous_key)
    return _boolean(flag, context, default, attributes, strict=strict)


async def avariation(
    flag: FlagKey,
    user: Subject = None,
    *,
    default: JSONValue | _Unset = UNSET,
    attributes: ExtraAttributes | None = None,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
    strict: bool = False,
) -> JSONValue:
    """As `variation`."""
    context = await _aresolve(user, request=request, anonymous_key=anonymous_key)
    return _checked(_evaluate(flag, context, default, attributes), strict=strict).value


async def avariation_detail(
    flag: FlagKey,
    user: Subject = None,
    *,
    default: JSONValue | _Unset = UNSET,
    attributes: ExtraAttributes | None = None,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
) -> Evaluation:
    """As `variation_detail`."""
    context = await _aresolve(user, request=request, anonymous_key=anonymous_key)
    return _evaluate(flag, context, default, attributes)


async def aall_flags(
    user: Subject = None,
    *,
    attributes: ExtraAttributes | None = None,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
) -> dict[str, Evaluation]:
    """As `all_flags`."""
    context = await _aresolve(user, request=request, anonymous_key=anonymous_key)
    return _evaluate_all(context, attributes)


async def atrack(
    event: str,
    user: Subject = None,
    *,
    data: JSONValue = None,
    metric_value: float | None = None,
    request: HttpRequest | None = None,
    anonymous_key: str | None = None,
) -> None:
    """As `track`."""
    context = await _aresolve(user, request=request, anonymous_key=anonymous_key)
    _track(event, context, data, metric_value)


def _connect_and_resolve(
    user: Subject, *, request: HttpRequest | None, anonymous_key: str | None
) -> UserContext:
    """What may wait: the first check of a process for LaunchDarkly, and each for the database."""
    evaluator.connect()
    return resolve(user, request=request, anonymous_key=anonymous_key)


_aresolve = sync_to_async(_connect_and_resolve)


def _track(event: str, context: UserContext, data: JSONValue, metric_value: float | None) -> None:
    told, metric = event_data(data, metric_value)
    evaluator.track(str(event), context.context, told, metric)


def _boolean(
    flag: FlagKey,
    context: UserContext,
    default: bool | _Unset,
    attributes: ExtraAttributes | None,
    *,
    strict: bool,
) -> bool:
    fallback = _default_of(str(flag), default, if_unknown=False)
    evaluation = _evaluate(flag, context, fallback, attributes)
    if not isinstance(evaluation.value, bool):
        evaluation = _wrong_type(evaluation, FlagType.BOOLEAN, fallback is True)
    return _checked(evaluation, strict=strict).value is True


def _evaluate(
    flag: FlagKey,
    context: UserContext,
    default: JSONValue | _Unset,
    attributes: ExtraAttributes | None,
) -> Evaluation:
    key = str(flag)
    evaluation = _one(key, context, default, attributes)
    # A key that nobody knows may be anything that a visitor typed.
    is_known = Degradation.FLAG_NOT_FOUND not in evaluation.degraded or key in declared_flags()
    if is_known and not is_looking():
        usage.count(key)
    return evaluation


def _one(
    key: str,
    context: UserContext,
    default: JSONValue | _Unset,
    attributes: ExtraAttributes | None,
) -> Evaluation:
    fallback = _default_of(key, default, if_unknown=None)
    forced = _forced(key, context)
    if forced is not None:
        return forced
    if attributes:
        context = with_extra(context, attributes)
    answer = evaluator.evaluate(key, context.context, fallback)
    return _in_declared_type(_evaluation(key, context, answer), fallback)


def _evaluate_all(
    context: UserContext, attributes: ExtraAttributes | None
) -> dict[str, Evaluation]:
    if attributes:
        context = with_extra(context, attributes)
    answers = evaluator.evaluate_all(context.context)
    overridden = {key for key, value in overridden_flags().items() if value is not MISSING}
    keys = {*declared_flags(), *overridden, *(answers or {})}
    return {key: _one_of_all(key, context, answers) for key in sorted(keys)}


def _one_of_all(
    key: str, context: UserContext, answers: Mapping[str, evaluator.Answer] | None
) -> Evaluation:
    forced = _forced(key, context)
    if forced is not None:
        return forced
    fallback = _default_of(key, UNSET, if_unknown=None)
    answer = answers.get(key) if answers is not None else None
    if answer is None:
        answer = evaluator.absent(fallback, is_connected=answers is not None)
    elif answer.degraded is not None or answer.value is None:
        answer = replace(answer, value=fallback)
    return _in_declared_type(_evaluation(key, context, answer), fallback)


def _evaluation(key: str, context: UserContext, answer: evaluator.Answer) -> Evaluation:
    degraded = context.degraded
    if answer.degraded is not None:
        degraded = (*degraded, answer.degraded)
    return Evaluation(
        flag=key,
        value=answer.value,
        variation=answer.variation,
        reason=answer.reason,
        source=context.source,
        degraded=degraded,
    )


def _forced(key: str, context: UserContext) -> Evaluation | None:
    """The value that comes before LaunchDarkly's. It is certain, whatever else fails."""
    overrides = overridden_flags()
    if key in overrides:
        value = overrides[key]
        if value is MISSING:
            return None  # the SDK's store has no such flag here
        reason = {"kind": "OVERRIDE"}
        return Evaluation(flag=key, value=value, reason=reason, source=context.source)
    forced = forced_flags()
    if forced and (name := environment_name(key)) in forced:
        reason = {"kind": "FORCED"}
        return Evaluation(flag=key, value=forced[name], reason=reason, source=context.source)
    return None


def _default_of(key: str, default: JSONValue | _Unset, *, if_unknown: JSONValue) -> JSONValue:
    if not isinstance(default, _Unset):
        return default
    declared = declared_flags().get(key)
    return declared.default if declared is not None else if_unknown


def _in_declared_type(evaluation: Evaluation, fallback: JSONValue) -> Evaluation:
    declared = declared_flags().get(evaluation.flag)
    if declared is None or evaluation.degraded or declared.type.holds(evaluation.value):
        return evaluation
    return _wrong_type(evaluation, declared.type, fallback)


def _wrong_type(evaluation: Evaluation, wanted: FlagType, fallback: JSONValue) -> Evaluation:
    message = "The flag %r is no %s in LaunchDarkly; the default was used."
    report(logger, f"wrong_type:{evaluation.flag}", message, evaluation.flag, wanted.value)
    return replace(
        evaluation,
        value=fallback,
        variation=None,
        degraded=(*evaluation.degraded, Degradation.WRONG_TYPE),
    )


def _checked(evaluation: Evaluation, *, strict: bool) -> Evaluation:
    if strict and evaluation.degraded:
        raise FlagUnavailable(evaluation)
    return evaluation
