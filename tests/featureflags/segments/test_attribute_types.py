"""Operators and values against the types of the attributes that a project has."""

from __future__ import annotations

import pytest

from featureflags.core.types import JSONValue
from featureflags.segments.attribute_types import (
    OPERATORS_BY_TYPE,
    AttributeType,
    check_types,
)
from featureflags.segments.definitions import Clause, Rule
from featureflags.segments.operator_labels import OPERATORS

TYPES = {
    "email": AttributeType.STRING,
    "account_age_days": AttributeType.NUMBER,
    "email_verified": AttributeType.BOOLEAN,
    "created_at": AttributeType.DATETIME,
    "app_version": AttributeType.SEMVER,
    "groups": AttributeType.LIST,
    "profile": AttributeType.OBJECT,
    "custom_address": AttributeType.ANY,
}


def problems(attribute: str, op: str, *values: JSONValue, kind: str | None = None) -> list[str]:
    good = Clause(attribute="email", op="in", values=("x",))
    clause = Clause(attribute=attribute, op=op, values=values, context_kind=kind)
    rules = [Rule(clauses=(good,)), Rule(clauses=(good, clause))]
    return [str(problem) for problem in check_types(rules, TYPES.get)]


@pytest.mark.parametrize(
    ("attribute", "op", "values"),
    [
        ("email", "matches", ("@agpt",)),
        ("email", "in", ("a", "b")),
        ("account_age_days", "in", (7, 7.5)),
        ("account_age_days", "lessThan", (7,)),
        ("email_verified", "in", (True,)),
        ("created_at", "before", ("2025-01-01T00:00:00Z",)),
        ("app_version", "semVerLessThan", ("2",)),
        ("app_version", "in", ("2.0.0",)),
        ("groups", "in", ("staff", 1)),
        ("custom_address", "lessThan", (1,)),
        ("profile", "exists", (True,)),
        ("", "segmentMatch", ("whatever",)),
        *((name, "exists", (True,)) for name in TYPES),
    ],
)
def test_what_fits_is_accepted(attribute: str, op: str, values: tuple[JSONValue, ...]) -> None:
    assert problems(attribute, op, *values) == []


@pytest.mark.parametrize(
    ("attribute", "op", "values", "message"),
    [
        ("emial", "in", ("x",), "there is no attribute 'emial'"),
        (
            "email_verified",
            "in",
            ("yes",),
            'email_verified is a boolean: "yes" is not true or false',
        ),
        ("email_verified", "in", (1,), "email_verified is a boolean: 1 is not true or false"),
        ("account_age_days", "in", ("7",), 'account_age_days is a number: "7" is not a number'),
        ("account_age_days", "in", (True,), "account_age_days is a number: true is not a number"),
        (
            "account_age_days",
            "contains",
            ("7",),
            "account_age_days is a number: 'contains' does not fit it",
        ),
        (
            "created_at",
            "lessThan",
            (7,),
            "created_at is a datetime: 'is less than' does not fit it",
        ),
        ("created_at", "in", ("2025",), "created_at is a datetime: 'is any of' does not fit it"),
        ("email", "lessThan", (7,), "email is a string: 'is less than' does not fit it"),
        ("email", "in", (None,), "email is a string: null is not text"),
        ("app_version", "in", ("v1",), 'app_version is a semver: "v1" is not a version'),
        ("groups", "in", (None,), "groups is a list: null is not a value"),
        ("profile", "in", ({},), "profile is an object: 'is any of' does not fit it"),
    ],
)
def test_what_does_not_fit_is_named(
    attribute: str, op: str, values: tuple[JSONValue, ...], message: str
) -> None:
    assert problems(attribute, op, *values) == [f"Rule 2, condition 2: {message}"]


def test_a_path_goes_by_its_first_part() -> None:
    assert problems("/custom_address/city", "in", "Rome", kind="user") == []
    assert problems("/profile/age", "lessThan", 7, kind="user") == []
    assert problems("/email/host", "in", "x", kind="user") == [
        "Rule 2, condition 2: email is a string: it has no parts"
    ]
    assert problems("/email", "in", 5, kind="user") == [
        "Rule 2, condition 2: email is a string: 5 is not text"
    ]
    assert problems("/nope/x", "in", "x", kind="user") == [
        "Rule 2, condition 2: there is no attribute 'nope'"
    ]


def test_without_a_kind_a_path_is_a_name_that_nobody_has() -> None:
    assert problems("/custom_address/city", "in", "Rome") == [
        "Rule 2, condition 2: there is no attribute '/custom_address/city'"
    ]


def test_every_type_and_operator_is_in_the_table() -> None:
    assert set(OPERATORS_BY_TYPE) == set(AttributeType)
    offered = {op for ops in OPERATORS_BY_TYPE.values() for op in ops}
    assert offered | {"segmentMatch"} == set(OPERATORS)
