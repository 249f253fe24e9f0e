"""An operator is defined in four places. This fails when one of them is missing.

| place | what it says |
|---|---|
| `segments/operators.py`, VALUE_TESTS | what it does to one value |
| `segments/operator_labels.py`, OPERATORS | its words, and the input that the editor offers |
| `segments/attribute_types.py`, OPERATORS_BY_TYPE | the attributes that it suits |
| `audience/sql/text_clauses.py`, DECIDED | what SQL can decide |
"""

from __future__ import annotations

import pytest

from featureflags.audience.sql.text_clauses import DECIDED, text_bounds
from featureflags.core.types import JSONValue
from featureflags.segments.attribute_types import OPERATORS_BY_TYPE, AttributeType
from featureflags.segments.definitions import EXISTS, SEGMENT_MATCH, Clause, Rule, SegmentDefinition
from featureflags.segments.explain import explain
from featureflags.segments.operator_labels import OPERATORS
from featureflags.segments.operators import VALUE_TESTS
from featureflags.segments.ruleset import Ruleset

WITHOUT_VALUES = {EXISTS, SEGMENT_MATCH}
"""They test no value: `segments/matching.py` has them."""

EXAMPLES: dict[str, tuple[JSONValue, JSONValue, JSONValue]] = {
    "in": ("pro", "pro", "free"),
    "startsWith": ("ada", "ada@example.com", "bob@example.com"),
    "endsWith": ("@example.com", "ada@example.com", "ada@example.org"),
    "contains": ("da@", "ada@example.com", "bob@example.com"),
    "matches": ("^a.*m$", "ada@example.com", "bob@example.com"),
    "lessThan": (5, 4, 5),
    "lessThanOrEqual": (5, 5, 6),
    "greaterThan": (5, 6, 5),
    "greaterThanOrEqual": (5, 5, 4),
    "before": ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
    "after": ("2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-02T00:00:00Z"),
    "semVerEqual": ("2.0.0", "2.0.0+build", "2.0.1"),
    "semVerLessThan": ("2.0.0", "2.0.0-rc.1", "2.0.0"),
    "semVerGreaterThan": ("2.0.0", "2.0.1", "2.0.0"),
}
"""For each operator a clause value, a user's value that matches it, and one that does not."""


def test_each_operator_has_its_four_places() -> None:
    of_a_type = {
        op
        for attribute_type, ops in OPERATORS_BY_TYPE.items()
        if attribute_type is not AttributeType.ANY
        for op in ops
    }

    assert set(VALUE_TESTS) == set(OPERATORS) - WITHOUT_VALUES, "operators or operator_labels"
    assert of_a_type == set(OPERATORS) - {SEGMENT_MATCH}, "attribute_types"
    assert set(VALUE_TESTS) == DECIDED, "text_clauses"
    assert set(VALUE_TESTS) == set(EXAMPLES), "an example in this test"


@pytest.mark.parametrize("op", EXAMPLES)
def test_each_operator_matches_and_explains_its_example(op: str) -> None:
    value, matching, other = EXAMPLES[op]
    rule = Rule(clauses=(Clause(attribute="x", op=op, values=(value,)),))
    ruleset = Ruleset([SegmentDefinition(key="s", rules=(rule,))])

    assert ruleset.match({"key": "u", "x": matching}, now=0) == {"s"}
    assert ruleset.match({"key": "u", "x": other}, now=0) == frozenset()
    why = explain(ruleset, "s", {"key": "u", "x": other}, now=0).rules[0].conditions[0].why
    assert OPERATORS[op].negated_label in why


def test_sql_leaves_an_operator_that_it_does_not_know_to_python() -> None:
    bounds = text_bounds("soundsLike", ["ada"], "name")

    assert (bounds.lower, bounds.upper) == (False, True)
    assert not bounds.exact
