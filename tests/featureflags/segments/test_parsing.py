"""Rules from JSON: everything wrong is named, by rule and condition, and nothing is dropped."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featureflags.segments.definitions import InvalidDefinition, Rule, SegmentDefinition
from featureflags.segments.parsing import (
    load_rules,
    parse_definition,
    parse_rules,
)
from featureflags.segments.ruleset import Ruleset
from tests.featureflags.segments.proof import SAMPLE


def rule(**changes: object) -> dict[str, object]:
    return {"clauses": [clause()], **changes}


def clause(**changes: object) -> dict[str, object]:
    return {"attribute": "plan", "op": "in", "values": ["pro"], **changes}


def refusal(raw: object) -> list[str]:
    with pytest.raises(InvalidDefinition) as refused:
        parse_rules(raw)
    return [str(problem) for problem in refused.value.problems]


def test_a_good_rule_is_read_whole() -> None:
    raw = rule(
        id="r1",
        description="Paying",
        clauses=[
            clause(values=["pro", 1, True, None, {"x": [1]}], negate=True, contextKind="user")
        ],
    )
    [parsed] = parse_rules([raw])
    [found] = parsed.clauses
    assert (parsed.id, parsed.description) == ("r1", "Paying")
    assert (found.attribute, found.op, found.negate, found.context_kind) == (
        "plan",
        "in",
        True,
        "user",
    )
    assert json.dumps(found.values) == '["pro", 1, true, null, {"x": [1]}]'


def test_what_was_read_does_not_change_with_its_source() -> None:
    raw = clause(values=[{"x": [1]}])
    [parsed] = parse_rules([rule(clauses=[raw])])
    raw["values"][0]["x"].append(2)  # type: ignore[index] # it is the list from above
    assert parsed.clauses[0].values == ({"x": [1]},)


NOT_HERE = "percentage rollouts belong into flag rules, not into segments here"

RULES: list[tuple[object, str]] = [
    (None, "The rules must be a list"),
    ({}, "The rules must be a list"),
    ("[]", "The rules must be a list"),
    ([5], "Rule 1: a rule must be an object"),
    ([None], "Rule 1: a rule must be an object"),
    ([rule(clauses=[])], "Rule 1: add at least one condition"),
    ([{"id": "x"}], "Rule 1: add at least one condition"),
    ([rule(clauses=None)], "Rule 1: add at least one condition"),
    ([rule(clauses={})], "Rule 1: its clauses must be a list"),
    ([rule(weight=50_000)], f"Rule 1: weight: {NOT_HERE}"),
    ([rule(weight=None)], f"Rule 1: weight: {NOT_HERE}"),
    ([rule(bucketBy="key")], f"Rule 1: bucketBy: {NOT_HERE}"),
    ([rule(rolloutContextKind="user")], f"Rule 1: rolloutContextKind: {NOT_HERE}"),
    ([rule(colour="red")], "Rule 1: unknown field 'colour'"),
    ([rule(id=5)], "Rule 1: id must be text"),
    ([rule(description=["x"])], "Rule 1: description must be text"),
    ([rule(id="a"), rule(id="b"), rule(id="a")], "Rule 3: its id 'a' is used by a rule before it"),
    ([rule(clauses=["x"])], "Rule 1, condition 1: a condition must be an object"),
]

CLAUSES = [
    ({"attribute": ""}, "choose an attribute"),
    ({"attribute": None}, "choose an attribute"),
    ({"attribute": 5}, "attribute must be text"),
    ({"attribute": "/", "contextKind": "user"}, "choose an attribute"),
    ({"attribute": "/a//b", "contextKind": "user"}, "the path '/a//b' has an empty part"),
    ({"attribute": "/a/", "contextKind": "user"}, "the path '/a/' has an empty part"),
    (
        {"attribute": "/a~2", "contextKind": "user"},
        "in the path '/a~2', ~ must be followed by 0 or 1",
    ),
    (
        {"attribute": "/a~", "contextKind": "user"},
        "in the path '/a~', ~ must be followed by 0 or 1",
    ),
    ({"contextKind": "org"}, "the context kind 'org' is not supported"),
    ({"contextKind": 1}, "contextKind must be text"),
    ({"op": ""}, "choose an operator"),
    ({"op": None}, "choose an operator"),
    ({"op": "equals"}, "unknown operator 'equals'"),
    ({"op": ["in"]}, "op must be text"),
    ({"negate": 1}, "negate must be true or false"),
    ({"negate": "yes"}, "negate must be true or false"),
    ({"weight": 1}, f"weight: {NOT_HERE}"),
    ({"value": 1}, "unknown field 'value'"),
    ({"values": []}, "add at least one value"),
    ({"values": None}, "add at least one value"),
    ({"values": "pro"}, "the values must be a list"),
    ({"values": [float("nan")]}, "a number must be finite and within the range of a double"),
    ({"values": [10**400]}, "a number must be finite and within the range of a double"),
    ({"values": [[float("inf")]]}, "a number must be finite and within the range of a double"),
    ({"values": ["a\0b"]}, "text may not hold the character NUL"),
    ({"values": [{"x": "\ud800"}]}, "text may not hold half a character (a lone surrogate)"),
    ({"values": [{1: 2}]}, "an object's names must be text"),
    ({"values": [b"pro"]}, "a value of type bytes is not JSON"),
    ({"op": "startsWith", "values": ["a", 1]}, "1 is not text"),
    ({"op": "endsWith", "values": [None]}, "None is not text"),
    ({"op": "contains", "values": [True]}, "True is not text"),
    ({"op": "matches", "values": ["a("]}, "'a(' is not a valid expression: missing ): a("),
    (
        {"op": "matches", "values": [r"(?=a)"]},
        "'(?=a)' is not a valid expression: invalid perl operator: (?=",
    ),
    ({"op": "matches", "values": [5]}, "5 is not text"),
    ({"op": "lessThan", "values": ["7"]}, "'7' is not a number"),
    ({"op": "greaterThanOrEqual", "values": [True]}, "True is not a number"),
    (
        {"op": "before", "values": ["2025-01-01"]},
        "'2025-01-01' is neither an RFC 3339 date and time",
    ),
    ({"op": "after", "values": ["2025-01-01T00:00:00"]}, "'2025-01-01T00:00:00' is neither an RFC"),
    ({"op": "after", "values": [False]}, "False is neither an RFC 3339"),
    ({"op": "semVerEqual", "values": ["v2"]}, "'v2' is not a semantic version"),
    ({"op": "semVerLessThan", "values": [2]}, "2 is not a semantic version"),
    ({"op": "segmentMatch", "values": [5]}, "5 is not the key of a segment"),
    ({"op": "segmentMatch", "values": [""]}, "'' is not the key of a segment"),
    ({"op": "exists", "values": [False]}, "the values must be [true]"),
    ({"op": "exists", "values": [1]}, "the values must be [true]"),
    ({"op": "exists", "values": [True, True]}, "the values must be [true]"),
]


@pytest.mark.parametrize(("raw", "message"), RULES)
def test_a_bad_rule_is_refused_by_name(raw: object, message: str) -> None:
    assert refusal(raw) == [message]


@pytest.mark.parametrize(("changes", "message"), CLAUSES)
def test_a_bad_condition_is_refused_by_number(changes: dict[str, object], message: str) -> None:
    raw = [rule(), rule(clauses=[clause(), clause(**changes)])]
    first, *_ = refusal(raw)
    assert first.startswith(f"Rule 2, condition 2: {message}")


def test_all_problems_are_reported_at_once() -> None:
    assert refusal([rule(clauses=[{"values": [1]}, clause(op="x")], weight=1), 7]) == [
        f"Rule 1: weight: {NOT_HERE}",
        "Rule 1, condition 1: choose an attribute",
        "Rule 1, condition 1: choose an operator",
        "Rule 1, condition 2: unknown operator 'x'",
        "Rule 2: a rule must be an object",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"op": "segmentMatch", "attribute": "", "values": ["beta"]},
        {"op": "before", "values": [1738324800000]},
        {"op": "after", "values": ["2025-01-31 12:00:00z"]},
        {"op": "semVerEqual", "values": ["2-rc"]},
        {"op": "exists", "values": [True]},
        {"negate": None, "contextKind": None},
        {"contextKind": ""},
    ],
)
def test_what_launchdarkly_accepts_is_accepted(changes: dict[str, object]) -> None:
    assert parse_rules([rule(clauses=[clause(**changes)])])


def test_a_whole_segment_with_launchdarklys_metadata() -> None:
    found = parse_definition(
        {
            "key": "beta",
            "name": "Beta",
            "description": "",
            "tags": ["x"],
            "salt": "abc",
            "creationDate": 1,
            "deleted": False,
            "version": 7,
            "included": ["u1", "u1"],
            "excluded": ["u2"],
            "rules": [rule()],
        }
    )
    assert (found.key, found.version) == ("beta", 7)
    assert (found.included, found.excluded) == ({"u1": None}, {"u2": None})
    assert len(found.rules) == 1


def test_members_may_have_an_end() -> None:
    found = parse_definition(
        {"key": "beta", "includedUntil": {"u1": "1970-01-01T00:00:01.000002Z"}}
    )
    assert found.included == {"u1": 1_000_002}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": ""}, "A segment must have a key"),
        ({"key": 5}, "Key must be text"),
        ({"version": True}, "Version must be a whole number"),
        ({"version": "1"}, "Version must be a whole number"),
        ({"deleted": True}, "A deleted segment cannot be used"),
        ({"unbounded": True}, "Unbounded: big segments are not supported"),
        ({"generation": 1}, "Generation: big segments are not supported"),
        ({"includedContexts": []}, "IncludedContexts: other context kinds than user"),
        ({"excludedContexts": [1]}, "ExcludedContexts: other context kinds than user"),
        ({"owner": "me"}, "Unknown field 'owner'"),
        ({"included": "u1"}, "Included must be a list of user keys"),
        ({"included": [1]}, "Included must hold the keys of users"),
        ({"excluded": [""]}, "Excluded must hold the keys of users"),
        ({"includedUntil": ["u1"]}, "IncludedUntil must map user keys to instants"),
        ({"excludedUntil": {"u1": "2025-01-01"}}, "ExcludedUntil: '2025-01-01' is not an RFC"),
        (
            {"included": ["u1"], "includedUntil": {"u1": "2025-01-01T00:00:00Z"}},
            "Included: the user 'u1' is listed twice",
        ),
        ({"rules": 5}, "The rules must be a list"),
    ],
)
def test_a_bad_frame_is_refused_by_name(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        parse_definition({"key": "beta", "rules": [rule()], **changes})
    assert any(str(problem).startswith(message) for problem in refused.value.problems)


def test_stored_rules_with_a_broken_one_keep_the_others() -> None:
    raw = [rule(clauses=[clause(), clause(op="nope", negate=True)]), rule()]
    found, problems = load_rules(raw)
    assert [str(problem) for problem in problems] == [
        "Rule 1, condition 2: unknown operator 'nope'"
    ]
    assert [len(item.clauses) for item in found] == [0, 1]
    segment = SegmentDefinition(key="s", rules=found)
    assert Ruleset([segment]).match({"plan": "pro"}, now=0) == {"s"}
    broken, _ = load_rules(raw[:1])
    assert broken == (Rule(clauses=()),)


@pytest.mark.parametrize("raw", [None, 5, "rules", {}, {"rules": []}, [5], [None]])
def test_stored_rules_of_a_wrong_shape_match_nobody(raw: object) -> None:
    found, problems = load_rules(raw)
    assert problems
    segment = SegmentDefinition(key="s", rules=found)
    assert not Ruleset([segment]).match({"key": "u1", "plan": "pro"}, now=0)


_junk = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.just(10**400),
        st.sampled_from(
            ["in", "matches", "exists", "segmentMatch", "user", "lessThan", "nope", "("]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "clauses",
                    "attribute",
                    "op",
                    "values",
                    "negate",
                    "contextKind",
                    "rules",
                    "key",
                    "included",
                    "excludedUntil",
                    "version",
                    "weight",
                ]
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=20,
)


@SAMPLE
@given(_junk)
def test_no_stored_rules_raise(raw: object) -> None:
    found, problems = load_rules(raw)
    segment = SegmentDefinition(key="s", rules=found)
    assert Ruleset([segment]).match({"key": "u1"}, now=0) <= {"s"}
    if problems:
        with pytest.raises(InvalidDefinition) as refused:
            parse_rules(raw)
        assert refused.value.problems == problems
    else:
        assert parse_rules(raw) == found


@SAMPLE
@given(_junk)
def test_no_definition_raises_anything_else(raw: object) -> None:
    with suppress(InvalidDefinition):
        found = parse_definition(raw)
        assert Ruleset([found]).match({"key": "u1"}, now=0) <= {found.key}


def test_no_nesting_exhausts_the_stack() -> None:
    deep: object = []
    for _ in range(100_000):
        deep = [deep]
    assert refusal([rule(clauses=[clause(values=[deep])])]) == [
        "Rule 1, condition 1: a value may nest at most 20 deep"
    ]
