"""Odd segments that LaunchDarkly may send, one for each thing that is easy to get wrong.

The last segment of a case is asked about. `REFUSED` has those that have no form here, and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.featureflags.audience.sql.people import KEYS

Json = dict[str, Any]
ORGANIZATION: Final = "organization"
EVERYBODY: Final[Json] = {"attribute": "key", "op": "in", "values": [""], "negate": True}
EVERY_COMPANY: Final[Json] = {**EVERYBODY, "contextKind": ORGANIZATION}


def condition(attribute: str, op: str, *values: Any, **more: Any) -> Json:
    return {"attribute": attribute, "op": op, "values": list(values), "negate": False, **more}


def negated(attribute: str, op: str, *values: Any, **more: Any) -> Json:
    return condition(attribute, op, *values, negate=True, **more)


def rule(*clauses: Json, **more: Any) -> Json:
    return {"clauses": list(clauses), **more}


def segment(*rules: Json, key: str = "odd", **more: Any) -> Json:
    return {"key": key, "version": 1, "salt": "5a1f", "rules": list(rules), **more}


def matching(*clauses: Json, **more: Any) -> list[Json]:
    """One rule with these conditions."""
    return [segment(rule(*clauses), **more)]


def taking(weight: int, *clauses: Json, **more: Any) -> list[Json]:
    """A percentage of everybody, or of those for whom these conditions hold."""
    return [segment(rule(*(clauses or (EVERYBODY,)), weight=weight, **more))]


A, B, O = "custom_a", "custom_b", "custom_o"  # noqa: E741 - the names of metadata
OF_USER: Final[Json] = {"contextKind": "user"}
OF_COMPANY: Final[Json] = {"contextKind": ORGANIZATION}
NESTED: Final = segment(rule(condition(A, "in", "a", 1, 2, 3)), key="inner")
MILLISECONDS: Final = 1738324800000
"""2025-01-31T12:00:00Z"""

CASES: Final[Mapping[str, list[Json]]] = {
    "half of them by key": taking(50_000),
    "half of them, with an empty field for the kind": taking(50_000, rolloutContextKind=""),
    "a third by their address": taking(33_333, bucketBy="email", rolloutContextKind="user"),
    "half by a value of any type": taking(50_000, bucketBy=A),
    "almost nobody by a field that many lack": taking(1, bucketBy=B),
    "half by a path into an object": taking(
        50_000, bucketBy="/custom_o/x", rolloutContextKind="user"
    ),
    "half by a path that is a literal name without a kind": taking(50_000, bucketBy="custom_/a"),
    "half by an escaped slash": taking(50_000, bucketBy="/custom_~1a", rolloutContextKind="user"),
    "half by a list": taking(50_000, bucketBy="groups"),
    "half by a boolean": taking(50_000, bucketBy="is_staff"),
    "half by the kind": taking(50_000, bucketBy="kind"),
    "a weight of nobody": taking(0),
    "a weight of everybody": taking(100_000),
    "without a weight the rest of it counts for nothing": [
        segment(rule(EVERYBODY, weight=None, bucketBy="//", rolloutContextKind="user"))
    ],
    "two rules with percentages of the same people": [
        segment(rule(EVERYBODY, weight=20_000), rule(EVERYBODY, weight=40_000, bucketBy=A))
    ],
    "half of those with a rule without conditions": [segment(rule(weight=50_000))],
    "companies by a number": taking(
        50_000, EVERY_COMPANY, bucketBy="/seats", rolloutContextKind=ORGANIZATION
    ),
    "companies by key, some by name": [
        segment(
            rule(EVERY_COMPANY, weight=50_000, rolloutContextKind=ORGANIZATION),
            includedContexts=[{"contextKind": ORGANIZATION, "values": ["1", "4"]}],
            excludedContexts=[{"contextKind": ORGANIZATION, "values": ["1", "2"]}],
        )
    ],
    "companies by a missing attribute": matching(negated("seats", "in", 5, **OF_COMPANY)),
    "listed twice, in and out": [
        segment(
            rule(EVERYBODY),
            included=[*KEYS[:3]],
            excluded=[*KEYS[2:6]],
            includedContexts=[{"values": [*KEYS[6:8]]}, {"contextKind": "", "values": [KEYS[8]]}],
            excludedContexts=[{"contextKind": "user", "values": [*KEYS[7:12]]}],
        )
    ],
    "a literal name with a slash": matching(condition("custom_/a", "in", "a", 1, True, None)),
    "the same as a reference": matching(
        condition("/custom_~1a", "in", "a", 1, True, None, **OF_USER)
    ),
    "a path into an object": matching(negated("/custom_o/a.b", "in", "a", **OF_USER)),
    "a path through a list": matching(negated("/custom_o/x/0", "in", "a", **OF_USER)),
    "a reference without a kind, which is a name and not a path": matching(
        negated("custom_o/x", "in", "a")
    ),
    "before and after, as text and as number": matching(
        condition(A, "before", MILLISECONDS, "2025-01-31T13:00:00.5+01:00"),
        negated(A, "after", "2025-01-30T23:59:60Z", "2025-01-31T11:59:59Z"),
    ),
    "not before a fraction of a millisecond": matching(negated(B, "before", MILLISECONDS + 0.5)),
    "dates that are none": matching(negated(A, "before", "2025-01-31", "soon", True)),
    "some dates that are none": matching(condition(A, "after", "2025-02-30T00:00:00Z", 1.5)),
    "versions without all of their numbers": matching(
        condition(A, "semVerGreaterThan", "1", "1.0.0-rc.1"),
        negated(A, "semVerEqual", "2", "1.2.0+build"),
    ),
    "versions that are none": matching(negated(A, "semVerLessThan", "v2", "02.0.0", 2)),
    "some versions that are none": matching(condition(A, "semVerLessThan", "v9", "1.0.0", True)),
    "null among the values": matching(condition(A, "in", None, "a")),
    "nothing but null": matching(negated(A, "in", None)),
    "a field that nobody has": matching(negated("custom_nobody", "in", "a")),
    "true is not 1, and 1 is 1.0": matching(condition(A, "in", True, 1.0)),
    "false is not 0": matching(negated(A, "in", False, "")),
    "lists and objects as values": matching(condition(B, "in", [1, 2], {"x": 1}, [], "a")),
    "no values": matching(condition(A, "in")),
    "no values, negated": matching(negated(A, "in")),
    "no values, negated, of a number": matching(negated(A, "lessThan"), condition(B, "in", 1, "a")),
    "no values beside another rule": [
        segment(rule(condition(A, "startsWith"), weight=50_000), rule(condition(B, "in", 1, "b")))
    ],
    "values that never fit": matching(condition(A, "lessThan", "abc", True, None)),
    "values that never fit, negated": matching(negated(A, "greaterThan", "1", [2])),
    "some values that never fit": matching(condition(A, "lessThanOrEqual", "abc", 2, None)),
    "prefixes that are no texts": matching(negated(A, "startsWith", 1, True, None, "a")),
    "suffixes that are no texts at all": matching(condition(A, "endsWith", 1, ["a"])),
    "expressions that are no texts": matching(negated(A, "matches", 7, None)),
    "an expression on lists": matching(negated(A, "matches", "^a|b$", "é")),
    "numbers near the limits of a double": matching(
        condition(A, "greaterThanOrEqual", 2**53 + 1, 1e300), negated(A, "in", 2**53)
    ),
    "who is in another segment": [
        NESTED,
        segment(rule({"op": "segmentMatch", "values": ["inner"], "attribute": "custom_a"})),
    ],
    "who is not": [
        NESTED,
        segment(rule(negated("", "segmentMatch", "inner"), condition(B, "in", 1, "a", "b"))),
    ],
    "who is in one of no segments": matching(condition("", "segmentMatch")),
    "who is in none of no segments": matching(
        negated("", "segmentMatch"), condition(A, "in", 1, 2, "a")
    ),
    "nothing but none of no segments": matching(negated("", "segmentMatch")),
    "the kind by name": matching(condition("kind", "in", "user", "ship"), condition(A, "in", 1)),
    "another kind by name": matching(negated("kind", "in", ORGANIZATION)),
    "who is anonymous": matching(negated("anonymous", "in", True)),
    "fields that are null": [
        {
            **segment({**rule(condition(A, "in", 1, "a")), "id": None, "bucketBy": None}),
            **dict.fromkeys(("included", "excluded", "includedContexts", "excludedContexts")),
        }
    ],
}

REFUSED: Final[Mapping[str, tuple[list[Json], str]]] = {
    "a percentage of a kind that is not the segment's": (
        taking(50_000, rolloutContextKind=ORGANIZATION),
        "the percentage is of 'organization'",
    ),
    "a condition on another kind": (
        matching(EVERYBODY, condition("seats", "in", 1, **OF_COMPANY)),
        "on 'organization', and the segment on 'user'",
    ),
    "an operator that nobody knows": (
        matching(condition(A, "soundsLike", "a")),
        "unknown operator 'soundsLike'",
    ),
    "a segment that is not there": (
        matching(negated("", "segmentMatch", "gone")),
        "gone",
    ),
    "a reference that is none": (
        matching(condition("/custom_a//b", "in", "a", **OF_USER)),
        "Rule 1, condition 1",
    ),
    "an expression that only Python's re has": (
        matching(condition(A, "matches", "a(?=b)")),
        "Rule 1, condition 1",
    ),
    "an operator that does not fit what is declared": (
        matching(condition("key", "lessThan", 5)),
        "key is a string",
    ),
    "a member who is nobody here": (
        [segment(rule(EVERYBODY), included=["nobody"])],
        "nobody",
    ),
    "a weight that is more than everybody": (taking(100_001), "weight must be"),
}
