"""Rules from JSON: everything wrong is named, by rule and condition, and nothing is dropped."""

from __future__ import annotations

import json

import pytest

from featureflags.segments.parsing import parse_rules
from tests.featureflags.segments.raw_rules import clause, refusal, rule


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


WEIGHT = "weight must be a whole number from 0 to 100000, which is 100 %"

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
    ([rule(weight="50")], f"Rule 1: {WEIGHT}"),
    ([rule(weight=50_000, bucketBy=["key"])], "Rule 1: bucketBy must be text"),
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
    ({"contextKind": "org"}, "the condition is on 'org', and the segment on 'user'"),
    ({"contextKind": 1}, "contextKind must be text"),
    ({"op": ""}, "choose an operator"),
    ({"op": None}, "choose an operator"),
    ({"op": "equals"}, "unknown operator 'equals'"),
    ({"op": ["in"]}, "op must be text"),
    ({"negate": 1}, "negate must be true or false"),
    ({"negate": "yes"}, "negate must be true or false"),
    ({"ignoreCase": 1}, "ignoreCase must be true or false"),
    ({"orMissing": "yes"}, "orMissing must be true or false"),
    (
        {"op": "lessThan", "values": [7], "ignoreCase": True},
        "ignoreCase is for contains, endsWith, in, matches, startsWith",
    ),
    ({"orMissing": True}, "orMissing is for negated conditions on a value"),
    (
        {"op": "exists", "values": [True], "negate": True, "orMissing": True},
        "orMissing is for negated conditions on a value",
    ),
    ({"weight": 1}, "unknown field 'weight'"),
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
    ({"op": "endsWith", "values": [None]}, "null is not text"),
    ({"op": "contains", "values": [True]}, "true is not text"),
    ({"op": "matches", "values": ["a("]}, '"a(" is not a valid expression: missing ): a('),
    (
        {"op": "matches", "values": [r"(?=a)"]},
        '"(?=a)" is not a valid expression: invalid perl operator: (?=',
    ),
    ({"op": "matches", "values": [5]}, "5 is not text"),
    (
        {"op": "inLast", "values": ["14 days"]},
        '"14 days" is not a number of hours, days, weeks, months or years: PT12H, P14D, P2W, P3M, P1Y',
    ),
    (
        {"op": "inNext", "values": ["P0D"]},
        '"P0D" is not a number of hours, days, weeks, months or years: PT12H, P14D, P2W, P3M, P1Y',
    ),
    (
        {"op": "onDayOfYear", "values": ["02-30"]},
        '"02-30" is neither today nor a day of the year such as 12-24',
    ),
    (
        {"op": "between", "values": ["2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z"]},
        "the values must be two dates, the earlier one first",
    ),
    (
        {"op": "between", "values": ["2026-02-01T00:00:00Z"]},
        "the values must be two dates, the earlier one first",
    ),
    (
        {"op": "ipInRange", "values": ["10.0.0.1/8"]},
        '"10.0.0.1/8" is inside a range. Write "10.0.0.0/8"',
    ),
    (
        {"op": "ipInRange", "values": ["10.0.0"]},
        '"10.0.0" is neither an IP range (10.0.0.0/8, 2001:db8::/32) nor an address',
    ),
    ({"op": "hasAtLeast", "values": [1.5]}, "1.5 is not a number of entries"),
    ({"op": "hasAtMost", "values": [-1]}, "-1 is not a number of entries"),
    ({"op": "lessThan", "values": ["7"]}, '"7" is not a number'),
    ({"op": "greaterThanOrEqual", "values": [True]}, "true is not a number"),
    (
        {"op": "before", "values": ["2025-01-01"]},
        '"2025-01-01" is neither an RFC 3339 date and time',
    ),
    ({"op": "after", "values": ["2025-01-01T00:00:00"]}, '"2025-01-01T00:00:00" is neither an RFC'),
    ({"op": "after", "values": [False]}, "false is neither an RFC 3339"),
    ({"op": "semVerEqual", "values": ["v2"]}, '"v2" is not a semantic version'),
    ({"op": "semVerLessThan", "values": [2]}, "2 is not a semantic version"),
    ({"op": "segmentMatch", "values": [5]}, "5 is not the key of a segment"),
    ({"op": "segmentMatch", "values": [""]}, '"" is not the key of a segment'),
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
    assert refusal([rule(clauses=[{"values": [1]}, clause(op="x")], weight=-1), 7]) == [
        "Rule 1, condition 1: choose an attribute",
        "Rule 1, condition 1: choose an operator",
        "Rule 1, condition 2: unknown operator 'x'",
        f"Rule 1: {WEIGHT}",
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
        {"negate": None, "contextKind": None, "ignoreCase": None, "orMissing": None},
        {"contextKind": ""},
    ],
)
def test_what_launchdarkly_accepts_is_accepted(changes: dict[str, object]) -> None:
    assert parse_rules([rule(clauses=[clause(**changes)])])
