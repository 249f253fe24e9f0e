"""The compiled rules: robust against any value and any broken definition, and reused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featureflags.core.types import JSONValue
from featureflags.segments.definitions import Clause
from featureflags.segments.explain import explain
from featureflags.segments.operator_labels import OPERATORS
from featureflags.segments.ruleset import Ruleset
from tests.featureflags.segments.making import IS_ONE, clause, in_segments, segment
from tests.featureflags.segments.proof import SAMPLE
from tests.featureflags.segments.strategies import (
    FAMILIES,
    Json,
    attributes_of,
    clauses,
    contexts,
    definition,
    segments,
)

NOW = 1_750_000_000_000_000

_any_clause = st.one_of(
    *(clauses(family) for family in FAMILIES.values()),
    st.builds(
        lambda keys, negate: {
            "attribute": "",
            "op": "segmentMatch",
            "values": keys,
            "negate": negate,
        },
        st.lists(st.sampled_from(["s0", "s1", "s2", "s3", "unknown"]), max_size=2),
        st.booleans(),
    ),
    st.builds(
        lambda negate: {"attribute": "a", "op": "exists", "values": [True], "negate": negate},
        st.booleans(),
    ),
)

_any_observed = st.one_of(*(family.observed for family in FAMILIES.values()))


@SAMPLE
@given(
    st.tuples(*(segments(f"s{number}", _any_clause) for number in range(4))),
    contexts(_any_observed),
)
def test_all_at_once_equals_one_at_a_time(found: tuple[Json, ...], context: Json) -> None:
    """Whatever the tables rule out together, each rule would have refused by itself."""
    ruleset = Ruleset(definition(raw) for raw in found)
    attributes = attributes_of(context)
    matched = ruleset.match(attributes, now=NOW)
    assert matched == {
        key for key in ruleset.definitions if ruleset.matches(key, attributes, now=NOW)
    }
    assert matched == {
        key for key in ruleset.definitions if explain(ruleset, key, attributes, now=NOW).verdict
    }


class Hostile:
    """Nothing that JSON knows."""

    __hash__ = None  # type: ignore[assignment] # this is what makes it hostile

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("compared")


def deep(depth: int = 100_000) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


HOSTILE = [
    10**400,
    -(10**400),
    float("nan"),
    float("inf"),
    [float("nan"), 10**400],
    {"x": float("nan")},
    {},
    [],
    [[]],
    [{}],
    {1: 2},
    {1, 2},
    b"bytes",
    Decimal(1),
    object(),
    Hostile(),
    [Hostile()],
    deep(),
    [deep()],
    "\ud800",
    "\0",
    "9" * 10_000,
    ("a", ("b",)),
    int,
]

VALUES: dict[str, tuple[JSONValue, ...]] = {
    "in": ("x", 1, True, None, [1], {"x": 1}, float("nan"), 10**400),
    "matches": ("a", "^$"),
    "segmentMatch": ("other",),
    "exists": (True,),
    "lessThan": (5, -5, float("nan")),
    "before": ("2025-01-01T00:00:00Z", 5),
    "semVerLessThan": ("2", "9" * 5000),
}


@pytest.mark.parametrize("negate", [False, True])
@pytest.mark.parametrize("op", sorted(OPERATORS))
def test_no_observed_value_raises(op: str, *, negate: bool) -> None:
    values = VALUES.get(op, ("a", 1, "1.0.0", "2025-01-01T00:00:00Z"))
    paths = (
        clause(op, *values, negate=negate),
        clause(op, *values, negate=negate, attribute="/a/x", context_kind="user"),
    )
    ruleset = Ruleset([segment("s", *([path] for path in paths))])
    for observed in HOSTILE:
        for attributes in ({"a": observed}, {"key": observed}, {"a": {"x": observed}}):
            matched = ruleset.match(attributes, now=0)  # type: ignore[arg-type] # no JSON
            assert ruleset.matches("s", attributes, now=0) is ("s" in matched)  # type: ignore[arg-type]
            explained = explain(ruleset, "s", attributes, now=0)  # type: ignore[arg-type]
            assert explained.verdict is ("s" in matched)
            assert explained.lines()
            assert explained.to_dict()


def test_nan_is_not_found_by_identity() -> None:
    nan = float("nan")
    ruleset = Ruleset([segment("s", [clause("in", nan)]), segment("t", [clause("in", [nan])])])
    assert ruleset.match({"a": nan}, now=0) == set()
    assert ruleset.match({"a": [nan]}, now=0) == set()
    assert ruleset.match({"a": [[nan]]}, now=0) == set()


def test_the_tables_never_take_a_boolean_as_a_number() -> None:
    ruleset = Ruleset(
        [
            segment("one", [clause("in", 1)]),
            segment("true", [clause("in", True)]),
            segment("zero", [clause("in", 0, False)]),
            segment("small", [clause("lessThan", 5)]),
        ]
    )
    assert ruleset.match({"a": True}, now=0) == {"true"}
    assert ruleset.match({"a": 1}, now=0) == {"one", "small"}
    assert ruleset.match({"a": [False]}, now=0) == {"zero"}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (clause("nope", 1), "unknown operator 'nope'"),
        (clause("nope", 1, negate=True), "unknown operator 'nope'"),
        (clause("matches", "("), "missing ): ("),
        (clause("matches", "(", negate=True), "missing ): ("),
        (
            clause("in", 1, context_kind="org"),
            "the condition is on 'org', and the segment on 'user'",
        ),
        (clause("in", 1, context_kind="org", negate=True), "the condition is on 'org'"),
        (clause("in", 1, attribute=""), "choose an attribute"),
        (clause("in", 1, attribute="/a//b", context_kind="user"), "the path '/a//b'"),
        (clause("lessThan", 10**400, negate=True), "int too large"),
    ],
)
def test_what_is_broken_matches_nobody_and_is_named(broken: Clause, message: str) -> None:
    ruleset = Ruleset([segment("s", [IS_ONE, broken], [clause("in", 2)])])
    assert ruleset.match({"a": 1}, now=0) == set()
    assert ruleset.match({"a": 2}, now=0) == {"s"}
    [problem] = ruleset.problems["s"]
    assert str(problem).startswith(f"Rule 1, condition 2: {message}")
    [line] = [line for line in explain(ruleset, "s", {"a": 1}, now=0).lines() if "broken" in line]
    assert message in line


def test_an_empty_rule_matches_nobody_and_is_named() -> None:
    ruleset = Ruleset([segment("s", [])])
    assert ruleset.match({"key": "u1"}, now=0) == set()
    assert [str(problem) for problem in ruleset.problems["s"]] == ["Rule 1: it has no condition"]


def test_an_unknown_segment_is_named_and_has_no_members() -> None:
    ruleset = Ruleset([segment("s", [in_segments("gone")], [in_segments("gone", negate=True)])])
    assert ruleset.match({"key": "u1"}, now=0) == {"s"}
    assert [str(problem) for problem in ruleset.problems["s"]] == [
        "Rule 1, condition 1: there is no segment 'gone'",
        "Rule 2, condition 1: there is no segment 'gone'",
    ]
    assert not ruleset.matches("gone", {"key": "u1"}, now=0)
    assert explain(ruleset, "gone", {}, now=0).decided_by == "unknown segment"


def test_a_cycle_matches_nobody_but_its_other_rules_still_do() -> None:
    ruleset = Ruleset(
        [
            segment("a", [in_segments("b")], [clause("in", 1)]),
            segment("b", [in_segments("a", negate=True)]),
            segment("self", [in_segments("self", negate=True)]),
            segment("user-of-a", [in_segments("a")]),
        ]
    )
    assert ruleset.match({"a": 2}, now=0) == set()
    assert ruleset.match({"a": 1}, now=0) == {"a", "user-of-a"}
    assert [str(problem) for problem in ruleset.problems["a"]] == [
        "Rule 1, condition 1: the segment 'b' leads back to this one"
    ]
    assert set(ruleset.problems) == {"a", "b", "self"}


def test_a_long_chain_of_segments_does_not_recurse() -> None:
    chain = [segment("s0", [IS_ONE])]
    chain += [segment(f"s{number}", [in_segments(f"s{number - 1}")]) for number in range(1, 3000)]
    ruleset = Ruleset(reversed(chain))
    assert len(ruleset.match({"a": 1}, now=0)) == 3000
    assert ruleset.matches("s2999", {"a": 1}, now=0)
    explained = explain(ruleset, "s2999", {"a": 1}, now=0)
    assert explained.verdict
    assert 20 <= len(explained.lines()) < 100
    assert explained.to_dict()["verdict"] is True


def test_a_lattice_of_segments_does_not_explode() -> None:
    lattice = [segment("s0", [IS_ONE])]
    lattice += [
        segment(f"s{n}", [in_segments(f"s{n - 1}"), in_segments(f"s{n - 1}")]) for n in range(1, 60)
    ]
    ruleset = Ruleset(lattice)
    assert ruleset.matches("s59", {"a": 1}, now=0)
    explained = explain(ruleset, "s59", {"a": 1}, now=0)
    assert len(explained.lines()) < 1000
    assert len(str(explained.to_dict())) < 100_000


def test_no_expression_can_hang() -> None:
    ruleset = Ruleset([segment("s", [clause("matches", "(a*)*(a|aa)+$")])])
    assert ruleset.match({"a": "a" * 50_000 + "b"}, now=0) == set()
