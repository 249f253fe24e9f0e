"""Explanations in words: each condition with what was seen, and why it held or not."""

from __future__ import annotations

import json

import pytest

from featureflags.core.types import JSONValue
from featureflags.segments.definitions import Clause, Rule, SegmentDefinition
from featureflags.segments.explain import explain
from featureflags.segments.explanation_tree import MISSING, ConditionExplanation
from featureflags.segments.formatting import words
from featureflags.segments.operator_labels import OPERATORS
from featureflags.segments.ruleset import Ruleset


def clause(op: str, *values: JSONValue, attribute: str = "age", negate: bool = False) -> Clause:
    return Clause(attribute=attribute, op=op, values=values, negate=negate)


def condition(found: Clause, attributes: dict[str, JSONValue]) -> ConditionExplanation:
    ruleset = Ruleset([SegmentDefinition(key="s", rules=(Rule(clauses=(found,)),))])
    explanation = explain(ruleset, "s", attributes, now=0)
    [rule] = explanation.rules
    [judged] = rule.conditions
    assert judged.clause is found
    assert judged.held is rule.matched is explanation.verdict
    return judged


@pytest.mark.parametrize(
    ("found", "observed", "held", "why"),
    [
        (clause("lessThan", 7), 3, True, "age is 3: it is less than 7"),
        (clause("lessThan", 7), 8, False, "age is 8: it is not less than 7"),
        (clause("lessThan", 7, negate=True), 3, False, "age is 3: it is less than 7"),
        (clause("lessThan", 7, negate=True), 8, True, "age is 8: it is not less than 7"),
        (clause("in", "a", "b"), ["b", 1], True, 'age is ["b", 1]: it is any of "a" or "b"'),
        (clause("in", True), 1, False, "age is 1: it is not true"),
        (clause("exists", True), 0, True, "age is 0"),
        (clause("exists", True, negate=True), 0, False, "age is 0"),
        (
            clause("lessThan", 7, negate=True),
            10**400,
            False,
            'age is "(a number beyond a double)", which cannot be compared: '
            "no match, negated or not",
        ),
        (clause("in", "x"), "y" * 500, False, f'age is "{"y" * 118}…: it is not any of "x"'),
    ],
)
def test_a_condition_shows_the_observed_value(
    found: Clause, observed: JSONValue, why: str, *, held: bool
) -> None:
    judged = condition(found, {"age": observed})
    assert (judged.held, judged.observed, judged.why) == (held, observed, why)


@pytest.mark.parametrize("attributes", [{}, {"age": None}])
def test_a_missing_value_is_shown_as_missing(attributes: dict[str, JSONValue]) -> None:
    for negate in (False, True):
        judged = condition(clause("in", 1, negate=negate), attributes)
        assert judged.observed is MISSING
        assert judged.why == "age is not known, and a condition on it never holds, negated or not"
    assert condition(clause("exists", True, negate=True), attributes).why == "age is not known"


def test_a_missing_value_that_the_condition_allows() -> None:
    allows = Clause(attribute="age", op="in", values=(1,), negate=True, or_missing=True)
    judged = condition(allows, {})
    assert (judged.held, judged.observed) == (True, MISSING)
    assert judged.why == "age is not known, which the condition allows"
    assert words(allows) == "age is not any of 1, or is not known"
    assert condition(allows, {"age": 1}).why == "age is 1: it is any of 1"


def test_ignored_case_is_named() -> None:
    folded = Clause(attribute="plan", op="in", values=("PRO",), ignore_case=True)
    judged = condition(folded, {"plan": "Pro"})
    assert judged.held
    assert judged.why == 'plan is "Pro": it is any of "PRO" in upper or lower case'
    assert words(folded) == 'plan is any of "PRO" in upper or lower case'


STAFF = SegmentDefinition(
    key="staff",
    rules=(
        Rule(clauses=(clause("in", "agpt.co", attribute="domain"),), description="By domain"),
        Rule(clauses=()),
    ),
    excluded={"u2": None},
)
TEAM = SegmentDefinition(
    key="team",
    rules=(
        Rule(
            clauses=(
                clause("segmentMatch", "staff", "gone", attribute=""),
                clause("segmentMatch", "staff", attribute="", negate=True),
            )
        ),
    ),
)


def test_a_nested_segment_is_explained_inside_once() -> None:
    explanation = explain(Ruleset([TEAM, STAFF]), "team", {"domain": "agpt.co"}, now=0)
    assert explanation.lines() == [
        "not in team: no rule",
        "  rule 1 does not match",
        '    yes the user is in segment "staff" or "gone": in staff',
        "        in staff: rule 1",
        "          rule 1 (By domain) matches",
        '            yes domain is any of "agpt.co": domain is "agpt.co": it is any of "agpt.co"',
        "          rule 2 does not match",
        "            without a usable condition it matches nobody",
        '    no  the user is not in segment "staff": in staff',
        "        in staff: rule 1",
    ]


def test_the_json_holds_the_same() -> None:
    ruleset = Ruleset([TEAM, STAFF])
    judged = json.loads(json.dumps(explain(ruleset, "team", {"key": "u2"}, now=0).to_dict()))
    assert (judged["segment"], judged["verdict"], judged["decided_by"]) == (
        "team",
        False,
        "no rule",
    )
    first, second = judged["rules"][0]["conditions"]
    assert (first["held"], first["observed"], first["why"]) == (False, [], "in none of staff, gone")
    [nested] = first["nested"]
    assert nested["decided_by"] == "excluded"
    [inside] = nested["rules"][0]["conditions"]
    assert "observed" not in inside
    assert second["held"] is True


def test_every_operator_has_words_for_both_ways() -> None:
    for op, info in OPERATORS.items():
        assert info.label in words(clause(op, "x"))
        assert info.negated_label in words(clause(op, "x", negate=True))
        assert info.label != info.negated_label
