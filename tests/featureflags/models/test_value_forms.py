"""Values that no user can have: e-mail addresses, domains and keys are stored in lower case."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from featureflags import checks
from featureflags.models import Segment
from featureflags.models.stored_forms import in_stored_form
from featureflags.models.validation import find_problems
from tests.factories import SegmentFactory, UserFactory, clause, rule
from users.models import User

CHANGED: list[tuple[str, str, Any, str]] = [
    ("email", "in", "Mira@AGPT.co", "mira@agpt.co"),
    ("email", "startsWith", "Mira@", "mira@"),
    ("email", "endsWith", "@AGPT.co", "@agpt.co"),
    ("email", "contains", "AGPT", "agpt"),
    ("email_domain", "in", "AGPT.co", "agpt.co"),
    ("email_domain", "in", "@agpt.co", "agpt.co"),
    ("email_domain", "startsWith", "@AGPT", "agpt"),
    ("email_domain", "endsWith", "@AGPT.co", "agpt.co"),
    ("email_domain", "endsWith", ".CO", ".co"),
    ("email_domain", "contains", "GPT", "gpt"),
    ("key", "in", "8A2C9F6E-1F0B-4C57-9A3E-2F6D1C0B7E5A", "8a2c9f6e-1f0b-4c57-9a3e-2f6d1c0b7e5a"),
]


@pytest.mark.parametrize(("attribute", "op", "value", "form"), CHANGED)
@pytest.mark.parametrize("negate", [False, True])
def test_they_get_the_form_that_users_have(
    attribute: str, op: str, value: str, form: str, negate: bool
) -> None:
    first = clause("role", "in", "user")
    rules = [rule(first, clause(attribute, op, "other.co", value, negate=negate))]
    written, [remark] = in_stored_form(rules)
    assert written == [
        {**rules[0], "clauses": [first, {**rules[0]["clauses"][1], "values": ["other.co", form]}]}
    ]
    assert (remark.rule, remark.clause, remark.code) == (1, 2, "stored_form")
    assert f'"{value}" is saved as "{form}"' in remark.message
    assert in_stored_form(written) == (written, [])
    assert find_problems("mine", written, {}) == []
    # A row that was written past us is named.
    [problem] = find_problems("mine", rules, {})
    assert (problem.rule, problem.clause, problem.code) == (1, 2, "value_form")
    assert problem.message.endswith(f'Write "{form}"')


def test_a_path_to_the_attribute_is_the_attribute() -> None:
    wanted = {**clause("/email", "in", "Mira@AGPT.co"), "contextKind": "user"}
    written, [_remark] = in_stored_form([rule(wanted)])
    assert written[0]["clauses"][0]["values"] == ["mira@agpt.co"]


@pytest.mark.parametrize(
    ("attribute", "op", "value"),
    [
        ("email", "in", "mira@agpt.co"),
        ("email", "matches", "(?i)@AGPT"),
        ("email", "matches", "@AGPT"),
        ("name", "in", "Mira"),
        ("custom_email", "in", "Mira@AGPT.co"),
    ],
)
def test_what_a_user_can_have(attribute: str, op: str, value: str) -> None:
    rules = [rule(clause(attribute, op, value))]
    assert in_stored_form(rules) == (rules, [])
    assert find_problems("mine", rules, {}) == []


@pytest.mark.parametrize("op", ["in", "startsWith", "endsWith", "contains"])
@pytest.mark.parametrize("value", ["mira@agpt.co", "Mira@AGPT.co", "@", "agpt.co@", "@@agpt.co"])
def test_a_rule_never_becomes_wider(op: str, value: str) -> None:
    """A whole address, or nothing but the @, names no domain: it is refused."""
    written, _remarks = in_stored_form([rule(clause("email_domain", op, value))])
    [problem] = find_problems("mine", written, {})
    assert (problem.code, "a domain has no @" in problem.message) == ("value_form", True)


@pytest.mark.parametrize(
    "broken",
    [
        None,
        "text",
        {},
        [None, [], {"clauses": None}, {"clauses": [1, {"values": "x"}, {"values": [{}]}]}],
        [{"clauses": [{"attribute": ["email"], "op": {}, "contextKind": 1, "values": ["A"]}]}],
        [{"clauses": [{"attribute": "/", "op": "in", "contextKind": "user", "values": ["A"]}]}],
    ],
)
def test_an_invalid_rule_is_left_to_the_validation(broken: Any) -> None:
    assert in_stored_form(broken) == (broken, [])


def test_endless_nesting_is_left_to_the_validation() -> None:
    endless: list[Any] = []
    endless.append(endless)
    rules = [rule(clause("custom_x", "in", endless))]
    assert in_stored_form(rules)[0] is rules
    assert find_problems("mine", rules, {})


@pytest.mark.django_db
def test_a_segment_is_saved_in_that_form() -> None:
    user = UserFactory.create(email="Mira@AGPT.co")
    segment = SegmentFactory.create(
        key="mine", rules=[rule(clause("email_domain", "in", "@AGPT.co"))]
    )
    assert segment.rules[0]["clauses"][0]["values"] == ["agpt.co"]
    assert Segment.objects.get(key="mine").rules == segment.rules
    assert list(User.objects.in_segment("mine")) == [user]


@pytest.mark.django_db
def test_a_stored_row_that_matches_nobody_is_named() -> None:
    with pytest.raises(ValidationError, match="a domain has no @"):
        SegmentFactory.create(key="mine", rules=[rule(clause("email_domain", "in", "a@agpt.co"))])
    SegmentFactory.create(key="mine", rules=[rule(clause("email", "in", "mira@agpt.co"))])
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE featureflags_segment SET rules = %s WHERE key = 'mine'",
            [
                '[{"id": "1", "clauses": [{"attribute": "email", "op": "in",'
                ' "values": ["Mira@AGPT.co"]}]}]'
            ],
        )
    [message] = checks.check_segments(databases=["default"])
    assert message.id == "featureflags.W011"
    assert 'Write "mira@agpt.co"' in str(message.msg)
