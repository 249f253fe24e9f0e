"""The answer for a flag and a context: a forced value, LaunchDarkly's, or the default and why.

Only the facade, `featureflags.evaluation`, calls this.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import cast

import msgspec

from featureflags.cache.counters import count_degraded, flag_usage
from featureflags.contexts.building import with_extra
from featureflags.contexts.results import Degradation, Evaluation, FlagUnavailable
from featureflags.contexts.subject_context import SubjectContext
from featureflags.core.monitoring import report
from featureflags.core.types import JSONValue
from featureflags.evaluation import tracing
from featureflags.evaluation.arguments import UNSET, ExtraAttributes, FlagKey, Unset, flag_key
from featureflags.flags.declared import FlagType, declared_flags
from featureflags.flags.overrides import (
    MISSING,
    Shown,
    asking_about,
    environment_name,
    forced_flags,
    in_force,
    overridden_flags,
)
from featureflags.flags.value_types import MISMATCH, JSONDefault, in_type_of
from featureflags.launchdarkly import evaluator
from featureflags.launchdarkly.client import detail_of, is_looking, looking
from featureflags.launchdarkly.evaluator import Answer

logger = logging.getLogger(__name__)

pending = flag_usage.pending


def evaluate_boolean(
    flag: FlagKey,
    context: SubjectContext,
    default: bool | Unset,
    attributes: ExtraAttributes | None,
    strict: bool,
) -> bool:
    """Whether a flag is on. A value that is not a boolean gives the default and a warning.

    Raises TypeError for a flag that is not one, and for a default that is not a boolean.
    """
    key = flag if type(flag) is str else flag_key(flag)
    if attributes:
        context = with_extra(context, attributes)
    declared = declared_flags().get(key)
    fallback: JSONValue = False if declared is None else declared.default
    if default is not UNSET:
        if default is not True and default is not False:
            raise TypeError(f"The default of is_enabled is True or False, not {default!r}.")
        fallback = default
    if context.degraded or in_force or forced_flags() or tracing.is_on:
        answer = _ask(key, context, fallback)
    else:
        detail = detail_of(key, context.context, fallback)
        value = detail.value
        if (
            (value is True or value is False)
            and (value is not fallback or detail.variation_index is not None)
            and (declared is None or declared.type is FlagType.BOOLEAN)
        ):
            # Nearly every check ends here, without an Evaluation.
            if not is_looking():
                try:
                    pending[key] += 1
                except KeyError:
                    flag_usage.count(key)
            return value is True
        answer = _counted(key, evaluator.answer_of(detail, fallback))
    evaluation = _boolean(_evaluation(key, context, answer, fallback), fallback)
    return checked(_noted(evaluation, context), strict=strict).value is True


def evaluate_one(
    flag: FlagKey,
    context: SubjectContext,
    default: JSONDefault | Unset,
    attributes: ExtraAttributes | None,
) -> Evaluation:
    """The answer to one flag. Evaluations of known flags are counted.

    Raises TypeError for a flag that is not one.
    """
    key = flag if type(flag) is str else flag_key(flag)
    if attributes:
        context = with_extra(context, attributes)
    fallback = _default_of(key, default)
    if not (context.degraded or in_force or forced_flags() or tracing.is_on):
        detail = detail_of(key, context.context, fallback)
        index, reason = detail.variation_index, detail.reason
        if index is not None and "errorKind" not in reason:
            # Nearly every answer ends here: LaunchDarkly's own, and sure.
            if not is_looking():
                flag_usage.count(key)
            value = cast("JSONValue", detail.value)
            found: Evaluation = Evaluation(
                flag=key, value=value, variation=index, reason=dict(reason), source=context.source
            )
            return _in_expected_type(found, fallback)
        answer = _counted(key, evaluator.answer_of(detail, fallback))
    else:
        answer = _ask(key, context, fallback)
    return _noted(_evaluation(key, context, answer, fallback), context)


def evaluate_all(
    context: SubjectContext, attributes: ExtraAttributes | None
) -> dict[str, Evaluation]:
    """Every flag that LaunchDarkly has or that is declared or overridden, by key, sorted."""
    if attributes:
        context = with_extra(context, attributes)
    with asking_about(context.user_key):
        answers = evaluator.evaluate_all(context.context)
        overridden = {key for key, value in overridden_flags().items() if value is not MISSING}
        keys = {*declared_flags(), *overridden, *(answers or {})}
        return {key: _one_of_all(key, context, answers) for key in sorted(keys)}


def evaluate_chosen(flags: Collection[str], context: SubjectContext) -> list[Evaluation]:
    """These flags in their order, by one question to the SDK. Sends no events, and counts nothing.

    Ten of them cost half as much as ten times `evaluate_one`.
    """
    with asking_about(context.user_key):
        answers = evaluator.evaluate_all(context.context, flags)
        return [_one_of_all(key, context, answers) for key in flags]


def expose(flag: str, context: SubjectContext, variation: int | None) -> None:
    """Count that this subject was shown a flag, here and in LaunchDarkly.

    `variation` is the number of the one that was shown; None: the one that the flag has now. Where the
    flag has another one now, the event names the one that was shown, and belongs to no experiment.
    """
    if variation is not None:
        with looking():
            now = evaluate_one(flag, context, UNSET, None)
        if now.variation != variation:
            evaluator.evaluate_as(flag, context.context, variation)
            _count(flag)
            return
    evaluate_one(flag, context, UNSET, None)


def _ask(key: str, context: SubjectContext, fallback: JSONValue) -> Answer:
    """What is forced, else what LaunchDarkly says; counted, if such a flag is known."""
    if in_force:
        with asking_about(context.user_key):
            return _ask_here(key, context, fallback)
    return _ask_here(key, context, fallback)


def _ask_here(key: str, context: SubjectContext, fallback: JSONValue) -> Answer:
    answer = _forced(key) if in_force or forced_flags() else None
    if answer is None:
        detail = detail_of(key, context.context, fallback)
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


def _noted(evaluation: Evaluation, context: SubjectContext) -> Evaluation:
    """The same; counted by its reasons if it is degraded, and traced if its context was made for it."""
    if tracing.is_on:
        tracing.finish(evaluation, context.own.context.key)
    reasons = evaluation.degraded
    if reasons and not is_looking():
        is_known = Degradation.FLAG_NOT_FOUND not in reasons or evaluation.flag in declared_flags()
        if is_known:
            count_degraded(evaluation.flag, reasons)
    return evaluation


def _one_of_all(
    key: str, context: SubjectContext, answers: Mapping[str, Answer] | None
) -> Evaluation:
    fallback = _default_of(key, UNSET)
    answer = _forced(key) or (answers.get(key) if answers is not None else None)
    if answer is None:
        answer = evaluator.absent(fallback, is_connected=answers is not None)
    elif answer.degraded is not None or (answer.value is None and not answer.is_forced):
        answer = msgspec.structs.replace(answer, value=fallback)
    return _evaluation(key, context, answer, fallback)


def _evaluation(
    key: str, context: SubjectContext, answer: Answer, fallback: JSONValue
) -> Evaluation:
    """The answer with its reasons; the fallback where it does not have the expected type.

    A forced value is never degraded by what else fails.
    """
    degraded = () if answer.is_forced else context.degraded
    if answer.degraded is not None:
        degraded = (*degraded, answer.degraded)
    evaluation: Evaluation = Evaluation(
        flag=key,
        value=answer.value,
        variation=answer.variation,
        reason=dict(answer.reason),
        source=context.source,
        degraded=degraded,
    )
    is_default = answer.degraded is not None
    return evaluation if is_default else _in_expected_type(evaluation, fallback)


def _forced(key: str) -> Answer | None:
    """The value that takes the place of LaunchDarkly's; None if there is none."""
    overrides = overridden_flags()
    if key in overrides:
        value = overrides[key]
        if value is MISSING or isinstance(value, Shown):
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


def _default_of(key: str, default: JSONDefault | Unset) -> JSONValue:
    if not isinstance(default, Unset):
        return cast("JSONValue", default)  # other containers are read, never changed
    declared = declared_flags().get(key)
    return declared.default if declared is not None else None


def _boolean(evaluation: Evaluation, fallback: JSONValue) -> Evaluation:
    if isinstance(evaluation.value, bool):
        return evaluation
    return _wrong_type(evaluation, "boolean", fallback is True)


def _in_expected_type(evaluation: Evaluation, fallback: JSONValue) -> Evaluation:
    """In the type of the default, and of the declaration if there is one."""
    declared = declared_flags().get(evaluation.flag)
    if declared is None and fallback is None:
        return evaluation
    value = in_type_of(fallback, evaluation.value)
    if value is MISMATCH:
        return _wrong_type(evaluation, _name_of_type(fallback), fallback)
    if declared is not None and not declared.type.holds(value):
        return _wrong_type(evaluation, declared.type.value, fallback)
    return evaluation if value is evaluation.value else replace(evaluation, value=value)


def _name_of_type(example: object) -> str:
    if isinstance(example, bool):
        return "boolean"
    if isinstance(example, str):
        return "string"
    return "whole number" if isinstance(example, int) else "number"


def _wrong_type(evaluation: Evaluation, wanted: str, fallback: JSONValue) -> Evaluation:
    message = "The value of the flag %r is not a %s. The default was used."
    report(logger, f"wrong_type:{evaluation.flag}", message, evaluation.flag, wanted)
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
