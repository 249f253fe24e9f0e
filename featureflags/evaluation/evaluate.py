"""What is answered for a flag and a context: forced, LaunchDarkly's, or the default and why.

The facade is `featureflags.evaluation`; nothing else calls this.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Final, TypeAlias

import msgspec

from featureflags.cache import answer_counters, flag_usage
from featureflags.cache.flag_usage import pending
from featureflags.contexts.building import UserContext, with_extra
from featureflags.contexts.results import Degradation, Evaluation, FlagUnavailable
from featureflags.core.monitoring import report
from featureflags.core.types import JSONValue
from featureflags.flags.declared import Flag, FlagType, declared_flags
from featureflags.flags.overrides import (
    MISSING,
    environment_name,
    forced_flags,
    in_force,
    overridden_flags,
)
from featureflags.launchdarkly import evaluator
from featureflags.launchdarkly.client import is_looking
from featureflags.launchdarkly.evaluator import Answer

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
    strict: bool,
) -> bool:
    """Whether a flag is on; a value that is no boolean gives the default and a warning."""
    key = flag if type(flag) is str else str(flag)
    if attributes:
        context = with_extra(context, attributes)
    declared = declared_flags().get(key)
    fallback: JSONValue = False if declared is None else declared.default
    if default is not UNSET:
        fallback = default
    if context.degraded or in_force or forced_flags():
        answer = _ask(key, context, fallback)
    else:
        detail = evaluator.detail_of(key, context.context, fallback)
        value = detail.value
        if (
            (value is True or value is False)
            and (value is not fallback or detail.variation_index is not None)
            and (declared is None or declared.type is FlagType.BOOLEAN)
        ):
            # The way of nearly every check: nothing more is made of it.
            if not is_looking():
                try:
                    pending[key] += 1
                except KeyError:
                    flag_usage.count(key)
            return value is True
        answer = _counted(key, evaluator.answer_of(detail, fallback))
    evaluation = _evaluation(key, context, answer, fallback)
    if not isinstance(evaluation.value, bool):
        evaluation = _wrong_type(evaluation, FlagType.BOOLEAN, fallback is True)
    return checked(_noted(evaluation), strict=strict).value is True


def evaluate_one(
    flag: FlagKey,
    context: UserContext,
    default: JSONValue | Unset,
    attributes: ExtraAttributes | None,
) -> Evaluation:
    """The answer to one flag, counted if it is one."""
    key = flag if type(flag) is str else str(flag)
    if attributes:
        context = with_extra(context, attributes)
    fallback = _default_of(key, default)
    return _noted(_evaluation(key, context, _ask(key, context, fallback), fallback))


def evaluate_all(context: UserContext, attributes: ExtraAttributes | None) -> dict[str, Evaluation]:
    """Every flag that LaunchDarkly has or that is declared or overridden, by key, sorted."""
    if attributes:
        context = with_extra(context, attributes)
    answers = evaluator.evaluate_all(context.context)
    overridden = {key for key, value in overridden_flags().items() if value is not MISSING}
    keys = {*declared_flags(), *overridden, *(answers or {})}
    return {key: _one_of_all(key, context, answers) for key in sorted(keys)}


def _ask(key: str, context: UserContext, fallback: JSONValue) -> Answer:
    """What is forced, else what LaunchDarkly says; counted, if such a flag is known."""
    answer = _forced(key) if in_force or forced_flags() else None
    if answer is None:
        detail = evaluator.detail_of(key, context.context, fallback)
        answer = evaluator.answer_of(detail, fallback)
    return _counted(key, answer)


def _counted(key: str, answer: Answer) -> Answer:
    # A key that nobody knows may be anything that a visitor typed.
    if answer.degraded is not Degradation.FLAG_NOT_FOUND or key in declared_flags():
        _count(key)
    return answer


def _count(key: str) -> None:
    if not is_looking():
        flag_usage.count(key)


def _noted(evaluation: Evaluation) -> Evaluation:
    """The same; counted by its reasons if it is degraded."""
    reasons = evaluation.degraded
    if reasons and not is_looking():
        is_known = Degradation.FLAG_NOT_FOUND not in reasons or evaluation.flag in declared_flags()
        if is_known:
            answer_counters.count_degraded(reasons)
    return evaluation


def _one_of_all(key: str, context: UserContext, answers: Mapping[str, Answer] | None) -> Evaluation:
    fallback = _default_of(key, UNSET)
    answer = _forced(key) or (answers.get(key) if answers is not None else None)
    if answer is None:
        answer = evaluator.absent(fallback, is_connected=answers is not None)
    elif answer.degraded is not None or (answer.value is None and not answer.is_forced):
        answer = msgspec.structs.replace(answer, value=fallback)
    return _evaluation(key, context, answer, fallback)


def _evaluation(key: str, context: UserContext, answer: Answer, fallback: JSONValue) -> Evaluation:
    """The answer as it is told; the fallback where it is not of the declared type.

    What is forced is certain, whatever else fails.
    """
    degraded = () if answer.is_forced else context.degraded
    if answer.degraded is not None:
        degraded = (*degraded, answer.degraded)
    evaluation = Evaluation(
        flag=key,
        value=answer.value,
        variation=answer.variation,
        reason=dict(answer.reason),
        source=context.source,
        degraded=degraded,
    )
    return evaluation if answer.is_forced else _in_declared_type(evaluation, fallback)


def _forced(key: str) -> Answer | None:
    """The value that comes before LaunchDarkly's."""
    overrides = overridden_flags()
    if key in overrides:
        value = overrides[key]
        if value is MISSING:
            return None  # the SDK's store has no such flag here
        return Answer(value=value, variation=None, reason={"kind": "OVERRIDE"}, is_forced=True)
    forced = forced_flags()
    if forced and (name := environment_name(key)) in forced and _is_boolean(key):
        return Answer(value=forced[name], variation=None, reason={"kind": "FORCED"}, is_forced=True)
    return None


def _is_boolean(key: str) -> bool:
    """Whether true or false can be its value: a flag that is declared as text stays text."""
    declared = declared_flags().get(key)
    return declared is None or declared.type is FlagType.BOOLEAN


def _default_of(key: str, default: JSONValue | Unset) -> JSONValue:
    if not isinstance(default, Unset):
        return default
    declared = declared_flags().get(key)
    return declared.default if declared is not None else None


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
