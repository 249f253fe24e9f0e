"""Values that no user can have: e-mail addresses and domains are stored in lower case."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from featureflags import checks
from featureflags.models.validation import find_problems
from tests.factories import SegmentFactory, clause, rule

WRONG: list[tuple[str, str, Any, str]] = [
    ("email", "in", "Mira@AGPT.co", 'Write "mira@agpt.co"'),
    ("email", "startsWith", "Mira@", 'Write "mira@"'),
    ("email", "endsWith", "@AGPT.co", 'Write "@agpt.co"'),
    ("email", "contains", "AGPT", 'Write "agpt"'),
    ("email_domain", "in", "AGPT.co", 'Write "agpt.co"'),
    ("email_domain", "in", "@agpt.co", 'Write "agpt.co"'),
    ("email_domain", "endsWith", "@AGPT.co", 'Write "agpt.co"'),
]


@pytest.mark.parametrize(("attribute", "op", "value", "advice"), WRONG)
@pytest.mark.parametrize("negate", [False, True])
def test_they_are_refused_with_what_to_write(
    attribute: str, op: str, value: str, advice: str, negate: bool
) -> None:
    rules = [rule(clause("role", "in", "user"), clause(attribute, op, value, negate=negate))]
    [problem] = find_problems("mine", rules, {})
    assert (problem.rule, problem.clause, problem.code) == (1, 2, "value_form")
    assert problem.message.endswith(advice)


@pytest.mark.parametrize(
    ("attribute", "op", "value"),
    [
        ("email", "in", "mira@agpt.co"),
        ("email", "matches", "(?i)@AGPT"),
        ("name", "in", "Mira"),
        ("custom_email", "in", "Mira@AGPT.co"),
    ],
)
def test_what_a_user_can_have(attribute: str, op: str, value: str) -> None:
    assert find_problems("mine", [rule(clause(attribute, op, value))], {}) == []


@pytest.mark.django_db
def test_nothing_is_saved_and_a_stored_row_is_named() -> None:
    with pytest.raises(ValidationError, match="stored in lower case"):
        SegmentFactory.create(key="mine", rules=[rule(clause("email", "in", "Mira@AGPT.co"))])
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
    assert message.id == "featureflags.E011"
    assert 'Write "mira@agpt.co"' in str(message.msg)
