"""Guidon's own operators and options over REST: saved, read again, and refused by their place."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from tests.factories import clause, rule
from tests.featureflags.api.segments.some import URL

pytestmark = pytest.mark.django_db

CONDITIONS: list[dict[str, Any]] = [
    clause("last_seen_at", "inLast", "P14D"),
    clause("created_at", "longerAgoThan", "P6M"),
    clause("custom_renewal", "inNext", "P1M"),
    clause("created_at", "within", "thisQuarter", "lastDay"),
    clause("created_at", "between", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
    clause("custom_birthday", "onDayOfYear", "today", "02-29"),
    clause("custom_app", "semVerGreaterThanOrEqual", "2.1"),
    clause("custom_app", "semVerLessThanOrEqual", "3"),
    clause("custom_ip", "ipInRange", "10.0.0.0/8", "2001:db8::/32"),
    clause("groups", "hasAtLeast", 2),
    clause("groups", "hasAtMost", 5),
    {**clause("name", "in", "Test", negate=True), "ignoreCase": True, "orMissing": True},
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition["op"])
def test_each_is_saved_and_read_again(root: APIClient, condition: dict[str, Any]) -> None:
    # Few enough people, so that nobody has to confirm it.
    few = clause("custom_nobody", "exists", True)
    body = {"key": "some", "name": "Some", "rules": [rule(condition, few)]}
    made = root.post(URL, body)
    assert made.status_code == 201, made.content
    [read] = root.get(f"{URL}some/").json()["rules"]
    assert read["clauses"] == [condition, few]


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (clause("created_at", "inLast", "14 days"), "PT12H, P14D, P2W, P3M, P1Y"),
        (clause("created_at", "between", "2026-01-01T00:00:00Z"), "two dates"),
        (clause("name", "inLast", "P14D"), "does not fit it"),
        (clause("custom_ip", "ipInRange", "10.0.0.1/8"), 'Write "10.0.0.0/8"'),
        ({**clause("name", "in", "x"), "orMissing": True}, "orMissing"),
        ({**clause("created_at", "after", 0), "ignoreCase": True}, "ignoreCase"),
    ],
)
def test_what_does_not_fit_is_refused(
    root: APIClient, condition: dict[str, Any], words: str
) -> None:
    answer = root.post(URL, {"key": "some", "name": "Some", "rules": [rule(condition)]})
    assert answer.status_code == 400
    [problem] = answer.json()["errors"]["rules"]
    assert problem.startswith("Rule 1, condition 1: ")
    assert words in problem
