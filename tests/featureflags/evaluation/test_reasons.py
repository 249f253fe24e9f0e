"""Evaluations in words."""

from __future__ import annotations

from typing import Any

import pytest

from featureflags.contexts.results import ContextSource, Degradation, Evaluation
from featureflags.evaluation import variation_detail
from featureflags.evaluation.reasons import degradation_in_words, reason_in_words, source_in_words
from featureflags.testing import override_flag

REASONS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "OFF"}, "Targeting is off."),
    ({"kind": "FALLTHROUGH"}, "No rule matched: the default rule."),
    (
        {"kind": "FALLTHROUGH", "inExperiment": True},
        "No rule matched: the default rule. Part of an experiment.",
    ),
    ({"kind": "TARGET_MATCH"}, "Targeted by key."),
    ({"kind": "RULE_MATCH", "ruleIndex": 0, "ruleId": "plan"}, "Rule 1 (plan) matched."),
    ({"kind": "RULE_MATCH", "ruleIndex": 2}, "Rule 3 matched."),
    (
        {"kind": "PREREQUISITE_FAILED", "prerequisiteKey": "base"},
        "It needs the flag “base” first.",
    ),
    ({"kind": "ERROR", "errorKind": "FLAG_NOT_FOUND"}, "No answer (FLAG_NOT_FOUND): the default."),
    ({"kind": "FORCED"}, "Forced by an environment variable."),
    ({"kind": "SOMETHING_NEW"}, "For the reason SOMETHING_NEW."),
]


@pytest.mark.parametrize(("reason", "words"), REASONS)
def test_each_reason_has_words(reason: dict[str, Any], words: str) -> None:
    evaluation = Evaluation(flag="x", value=True, reason=reason, source=ContextSource.LOADED)
    assert reason_in_words(evaluation) == words


def test_an_override_is_a_reason_of_its_own() -> None:
    with override_flag("x", True):
        assert reason_in_words(variation_detail("x")) == "Overridden by a test."


def test_every_degradation_and_source_has_words_of_its_own() -> None:
    degradations = {degradation_in_words(reason) for reason in Degradation}
    assert len(degradations) == len(Degradation)
    assert len({source_in_words(source) for source in ContextSource}) == len(ContextSource)
