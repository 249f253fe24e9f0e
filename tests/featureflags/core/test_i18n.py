"""Rooms without a framework give their texts in the language of the reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import translation

from featureflags.core import i18n
from featureflags.inspection.flags_using_segment import uses_of_each
from featureflags.inspection.rollouts import Serving, Target
from featureflags.segments.attribute_types import AttributeType, check_types
from featureflags.segments.definitions import Clause
from featureflags.segments.formatting import words
from featureflags.segments.parsing import load_rules
from tests.factories import clause, rule
from tests.services.flag_json import boolean_flag, segment_rule

MARK = "¡"


@pytest.fixture
def marked() -> Iterator[None]:
    """Each text that is translated begins with a mark."""
    i18n.translate_with(
        lambda text: MARK + text,
        lambda one, more, number: MARK + (one if number == 1 else more),
    )
    yield
    i18n.translate_with(translation.gettext, translation.ngettext)


def test_the_app_puts_in_what_django_has() -> None:
    assert i18n._translate is translation.gettext
    assert i18n._translate_number is translation.ngettext


@pytest.mark.parametrize(
    "broken",
    [
        "no list",
        ["no object"],
        [{"clauses": []}],
        [{"clauses": "no list"}],
        [{"clauses": [], "weight": 5}],
        [{"clauses": [], "surprise": 5}],
        [rule(clause("name", "sounds", "x"))],
        [rule(clause("name", "in"))],
        [rule(clause("name", "matches", "("))],
        [rule(clause("", "in", "x"))],
        [rule(clause("name", "lessThan", "x"))],
        [rule(clause("name", "before", "soon"))],
        [rule(clause("name", "semVerEqual", "x"))],
        [rule(clause("name", "segmentMatch", 5))],
        [rule(clause("name", "in", "a\x00"))],
        [rule({**clause("name", "in", "x"), "negate": "yes"})],
    ],
)
@pytest.mark.usefixtures("marked")
def test_every_problem_of_rules(broken: Any) -> None:
    _, problems = load_rules(broken)
    assert problems
    for problem in problems:
        assert MARK in problem.message, problem
        if problem.rule is not None:
            assert str(problem).startswith(f"{MARK}Rule")


@pytest.mark.usefixtures("marked")
def test_what_does_not_fit_an_attribute() -> None:
    rules, _ = load_rules([rule(clause("seats", "in", "many"), clause("unknown", "in", "x"))])
    types = {"seats": AttributeType.NUMBER}
    misfit, unknown = check_types(rules, types.get)
    assert misfit.message == f'{MARK}seats is {MARK}a number: "many" is not {MARK}a number'
    assert unknown.message.startswith(MARK)


@pytest.mark.usefixtures("marked")
def test_conditions_and_what_flags_do() -> None:
    sentence = words(Clause(attribute="x", op="in", values=("a", "b")))
    assert sentence == f'x {MARK}is any of "a"{MARK} or "b"'
    flag = boolean_flag("f", rules=[segment_rule("pro")])
    [use] = uses_of_each(["pro"], {"flags": {"f": flag}, "segments": {}})["pro"]
    assert use.words.startswith(MARK)
    one = Target(context_kind="user", keys=1, serving=Serving(value=True, variation=0))
    assert one.words == f"{MARK}1 user by key"
