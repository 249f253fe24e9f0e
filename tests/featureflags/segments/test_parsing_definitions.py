"""Whole segments and stored rules: read, refused with every problem, and never an error for junk."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featureflags.segments.definitions import InvalidDefinition, Rule, SegmentDefinition
from featureflags.segments.parsing import load_rules, parse_definition, parse_rules
from featureflags.segments.ruleset import Ruleset
from tests.featureflags.segments.proof import SAMPLE
from tests.featureflags.segments.raw_rules import clause, refusal, rule


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
        (
            {"includedContexts": [{"contextKind": "org", "values": ["x"]}], "included": ["u1"]},
            "IncludedContexts: the members are of 'org', and the segment of 'user'",
        ),
        ({"excludedContexts": [1]}, "ExcludedContexts must be a list of objects with contextKind"),
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
