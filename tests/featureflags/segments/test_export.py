"""Definitions to LaunchDarkly's JSON and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featureflags.segments.definitions import Clause, InvalidDefinition, Rule, SegmentDefinition
from featureflags.segments.export import NotExportable, dump_rules, to_launchdarkly
from featureflags.segments.parsing import parse_definition, parse_rules
from tests.featureflags.segments.proof import SAMPLE
from tests.featureflags.segments.sdk import Sdk
from tests.featureflags.segments.strategies import FAMILIES, Json, clauses, segments

PAYING = Rule(id="r1", clauses=(Clause(attribute="plan", op="in", values=("pro",)),))
KNOWN = Rule(
    clauses=(
        Clause(attribute="plan", op="in", values=("pro",)),
        Clause(attribute="last_seen_at", op="exists", values=(True,), negate=True),
    )
)


def test_the_sdk_reads_an_export() -> None:
    definition = SegmentDefinition(
        key="s", rules=(PAYING,), included={"u1": None}, excluded={"u2": None}, version=3
    )
    exported = json.loads(json.dumps(to_launchdarkly(definition)))
    sdk = Sdk()
    try:
        answers = [
            sdk.answer([exported], "s", {"kind": "user", "key": key, "plan": plan})
            for key, plan in (("u1", "free"), ("u2", "pro"), ("u3", "pro"), ("u3", "free"))
        ]
    finally:
        sdk.close()
    assert answers == [True, False, True, False]


@SAMPLE
@given(st.one_of([segments("s", clauses(family)) for family in FAMILIES.values()]))
def test_what_was_parsed_comes_back_from_its_dump(raw: Json) -> None:
    try:
        definition = parse_definition(raw, tolerate={"values_empty"})
    except InvalidDefinition:
        return
    dumped = to_launchdarkly(definition)
    assert json.dumps(to_launchdarkly(parse_definition(dumped, tolerate={"values_empty"}))) == (
        json.dumps(dumped)
    )
    assert parse_definition(dumped, tolerate={"values_empty"}) == definition


def test_rules_come_back_from_their_dump() -> None:
    rules = (PAYING, KNOWN)
    assert parse_rules(dump_rules(rules)) == rules


def test_our_own_operator_is_refused_by_rule_and_condition() -> None:
    definition = SegmentDefinition(key="s", rules=(PAYING, KNOWN))
    with pytest.raises(NotExportable) as refused:
        to_launchdarkly(definition)
    assert [str(problem) for problem in refused.value.problems] == [
        "Rule 2, condition 2: LaunchDarkly has no operator 'exists'"
    ]
    assert refused.value.segment_key == "s"


def test_our_own_options_are_refused_and_come_back_from_a_native_export() -> None:
    clause = Clause(attribute="plan", op="in", values=("pro",), negate=True, or_missing=True)
    folded = Clause(attribute="plan", op="contains", values=("PRO",), ignore_case=True)
    definition = SegmentDefinition(key="s", rules=(Rule(clauses=(clause, folded)),))
    with pytest.raises(NotExportable) as refused:
        to_launchdarkly(definition)
    assert [str(problem) for problem in refused.value.problems] == [
        "Rule 1, condition 1: LaunchDarkly matches nobody whose attribute is missing",
        "Rule 1, condition 2: LaunchDarkly cannot ignore case",
    ]
    native = to_launchdarkly(definition, native=True)
    assert parse_definition(json.loads(json.dumps(native))) == definition
    assert json.dumps(dump_rules((PAYING,))).count("ignoreCase") == 0


def test_a_membership_that_ends_is_refused_by_name() -> None:
    definition = SegmentDefinition(key="s", included={"u1": None, "u2": 5}, excluded={"u3": 6})
    with pytest.raises(NotExportable) as refused:
        to_launchdarkly(definition)
    assert [str(problem) for problem in refused.value.problems] == [
        "The membership of 'u2' expires, which LaunchDarkly cannot express",
        "The membership of 'u3' expires, which LaunchDarkly cannot express",
    ]


def test_an_empty_rule_is_refused_since_launchdarkly_would_let_everybody_in() -> None:
    definition = SegmentDefinition(key="s", rules=(PAYING, Rule(clauses=())))
    for native in (False, True):
        with pytest.raises(NotExportable, match="Rule 2: it has no condition"):
            to_launchdarkly(definition, native=native)


@pytest.mark.parametrize("until", [0, 1, -1, 1_750_000_000_123_456])
def test_a_native_export_holds_all_of_it(until: int) -> None:
    definition = SegmentDefinition(
        key="s",
        rules=(PAYING, KNOWN),
        included={"u1": None, "u2": until},
        excluded={"u3": until},
        version=9,
    )
    exported = json.loads(json.dumps(to_launchdarkly(definition, native=True)))
    assert parse_definition(exported) == definition
