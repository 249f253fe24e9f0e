"""An operator is defined in four places. This fails when one of them is missing.

| place | what it says |
|---|---|
| `segments/operators.py`, VALUE_TESTS | what it does to one value |
| `segments/moving_dates.py`, WINDOWS | the same, where now counts |
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
from featureflags.segments.export import NotExportable, to_launchdarkly
from featureflags.segments.moving_dates import WINDOWS
from featureflags.segments.operator_labels import LAUNCHDARKLY, OPERATORS
from featureflags.segments.operators import LENGTH_TESTS, VALUE_TESTS
from featureflags.segments.parsing import parse_definition
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
    "inLast": ("P14D", "1969-12-20T00:00:00Z", "1969-12-01T00:00:00Z"),
    "inNext": ("P14D", "1970-01-02T00:00:00Z", "1970-02-01T00:00:00Z"),
    "longerAgoThan": ("P1M", "1969-11-30T00:00:00Z", "1969-12-02T00:00:00Z"),
    "within": ("thisYear", "1970-12-31T23:00:00Z", "1969-12-31T23:00:00Z"),
    "onDayOfYear": ("today", "2000-01-01", "2000-01-02"),
    "semVerEqual": ("2.0.0", "2.0.0+build", "2.0.1"),
    "semVerLessThan": ("2.0.0", "2.0.0-rc.1", "2.0.0"),
    "semVerGreaterThan": ("2.0.0", "2.0.1", "2.0.0"),
    "semVerLessThanOrEqual": ("2.0.0", "2.0.0", "2.0.1"),
    "semVerGreaterThanOrEqual": ("2.0.0", "2", "2.0.0-rc.1"),
    "ipInRange": ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
    "hasAtLeast": (2, ["a", "b"], ["a"]),
    "hasAtMost": (2, ["a", "b"], ["a", "b", "c"]),
}
"""For each operator a clause value, a user's value that matches it at 0 µs, and one that does not."""

OF_TWO_VALUES = {"between"}


def test_each_operator_has_its_four_places() -> None:
    of_a_type = {
        op
        for attribute_type, ops in OPERATORS_BY_TYPE.items()
        if attribute_type is not AttributeType.ANY
        for op in ops
    }

    tested = {*VALUE_TESTS, *WINDOWS, *LENGTH_TESTS}
    assert tested == set(OPERATORS) - WITHOUT_VALUES, "operators or operator_labels"
    assert of_a_type == set(OPERATORS) - {SEGMENT_MATCH}, "attribute_types"
    assert set(VALUE_TESTS) == DECIDED, "text_clauses"
    assert tested - OF_TWO_VALUES == set(EXAMPLES), "an example in this test"


@pytest.mark.parametrize("op", EXAMPLES)
def test_each_operator_matches_and_explains_its_example(op: str) -> None:
    value, matching, other = EXAMPLES[op]
    rule = Rule(clauses=(Clause(attribute="x", op=op, values=(value,)),))
    ruleset = Ruleset([SegmentDefinition(key="s", rules=(rule,))])

    assert ruleset.match({"key": "u", "x": matching}, now=0) == {"s"}
    assert ruleset.match({"key": "u", "x": other}, now=0) == frozenset()
    why = explain(ruleset, "s", {"key": "u", "x": other}, now=0).rules[0].conditions[0].why
    assert OPERATORS[op].negated_label in why


@pytest.mark.parametrize("op", EXAMPLES)
def test_an_export_to_launchdarkly_holds_its_operators_alone(op: str) -> None:
    clause = Clause(attribute="x", op=op, values=(EXAMPLES[op][0],))
    definition = SegmentDefinition(key="s", rules=(Rule(clauses=(clause,)),))

    assert parse_definition(to_launchdarkly(definition, native=True)) == definition
    if op in LAUNCHDARKLY:
        assert parse_definition(to_launchdarkly(definition)) == definition
    else:
        with pytest.raises(NotExportable, match=f"LaunchDarkly has no operator '{op}'"):
            to_launchdarkly(definition)


def test_sql_leaves_an_operator_that_it_does_not_know_to_python() -> None:
    unheard = Clause(attribute="name", op="soundsLike", values=("ada",))
    bounds = text_bounds(unheard, "name")

    assert (bounds.lower, bounds.upper) == (False, True)
    assert not bounds.exact
