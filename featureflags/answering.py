"""What is answered for a flag and a context: forced, LaunchDarkly's, or the default and why.

The facade is `featureflags.evaluation`; nothing else calls this.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Final, TypeAlias

from featureflags.cache import usage
from featureflags.contexts import UserContext, with_extra
from featureflags.flags import Flag, FlagType, declared_flags
from featureflags.launchdarkly import evaluator
from featureflags.launchdarkly.client import is_looking
from featureflags.monitoring import report
from featureflags.overrides import MISSING, environment_name, forced_flags, overridden_flags
from featureflags.results import Degradation, Evaluation, FlagUnavailable
from featureflags.types import JSONValue

logger = logging.getLogger(__name__)

FlagKey: TypeAlias = str | Flag
ExtraAttributes: TypeAlias = Mapping[str, object]


class Unset(Enum):
    UNSET = 0


UNSET: Final = Unset.UNSET
"""No default was passed: the declared one holds, else None (False for `is_enabled`)."""


def evaluate_boolean(
    flag: FlagKey,
    context: UserContext,
    default: bool | Unset,
    attributes: ExtraAttributes | None,
    *,
    strict: bool,
) -> bool:
    """Whether a flag is on; a value that is no boolean gives the default and a warning."""
    fallback = _default_of(str(flag), default, if_unknown=False)
    evaluation = evaluate_one(flag, context, fallback, attributes)
    if not isinstance(evaluation.value, bool):
        evaluation = _wrong_type(evaluation, FlagType.BOOLEAN, fallback is True)
    return checked(evaluation, strict=strict).value is True


def evaluate_one(
    flag: FlagKey,
    context: UserContext,
    default: JSONValue | Unset,
    attributes: ExtraAttributes | None,
) -> Evaluation:
    """The answer to one flag, counted if it is one."""
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
    default: JSONValue | Unset,
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


def evaluate_all(context: UserContext, attributes: ExtraAttributes | None) -> dict[str, Evaluation]:
    """Every flag that LaunchDarkly has or that is declared or overridden, by key, sorted."""
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
    if forced and (name := environment_name(key)) in forced and _is_boolean(key):
        reason = {"kind": "FORCED"}
        return Evaluation(flag=key, value=forced[name], reason=reason, source=context.source)
    return None


def _is_boolean(key: str) -> bool:
    """Whether true or false can be its value: a flag that is declared as text stays text."""
    declared = declared_flags().get(key)
    return declared is None or declared.type is FlagType.BOOLEAN


def _default_of(key: str, default: JSONValue | Unset, *, if_unknown: JSONValue) -> JSONValue:
    if not isinstance(default, Unset):
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


def checked(evaluation: Evaluation, *, strict: bool) -> Evaluation:
    """The same evaluation. Raises FlagUnavailable if it is degraded and the caller is strict."""
    if strict and evaluation.degraded:
        raise FlagUnavailable(evaluation)
    return evaluation
