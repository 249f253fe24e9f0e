"""Rules and fields that are wrong: each is named by its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from featureflags.models import Segment
from tests.factories import SegmentFactory, clause, rule
from tests.featureflags.api.segments.some import PAYING, URL

pytestmark = pytest.mark.django_db

PROBLEMS = {
    "unknown attribute": (
        [rule(clause("email", "in", "a@x.io"), clause("shoe_size", "in", 1))],
        "Rule 1, condition 2: ",
    ),
    "unknown operator": ([rule(clause("email", "resembles", "x"))], "Rule 1, condition 1: "),
    "wrong type": ([rule(clause("is_staff", "in", "yes"))], "Rule 1, condition 1: "),
    "bad pattern": ([rule(clause("email", "matches", "("))], "Rule 1, condition 1: "),
    "empty rule": ([*PAYING, rule()], "Rule 2"),
    "no values": ([rule(clause("email", "in"))], "Rule 1, condition 1: "),
    "unknown segment": ([rule(clause("", "segmentMatch", "nope"))], "Rule 1, condition 1: "),
    "weight": ([rule(clause("email", "in", "x"), weight=-1)], "Rule 1"),
    "no list": ({}, ""),
    "null": (None, ""),
    "text": ("[]", ""),
    "NUL": ([rule(clause("email", "in", "\x00"))], "Rule 1"),
    "lone surrogate": ([rule(clause("email", "in", "\ud800"))], "Rule 1"),
    "too deep": ([rule(clause("custom_x", "in", json.loads("[" * 400 + "]" * 400)))], "Rule 1"),
}


@pytest.mark.parametrize(("rules", "place"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_what_is_wrong_with_rules_is_said_by_its_place(
    root: APIClient, rules: Any, place: str
) -> None:
    body = json.dumps({"key": "paying", "name": "Paying", "rules": rules})
    answer = root.post(URL, body, content_type="application/json")
    assert answer.status_code == 400, answer.content
    problems = answer.json()["errors"]["rules"]
    assert list(answer.json()["errors"]) == ["rules"]
    assert problems[0].startswith(place)
    assert not Segment.objects.filter(key="paying").exists()


def test_a_number_beyond_a_double_is_400(root: APIClient) -> None:
    rules = json.dumps([rule(clause("custom_n", "in", 7))]).replace("7", "1e999")
    body = f'{{"key": "paying", "name": "Paying", "rules": {rules}}}'
    answer = root.post(URL, body, content_type="application/json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["rules"])


def test_a_cycle_is_refused(root: APIClient) -> None:
    SegmentFactory.create(key="one")
    SegmentFactory.create(key="two", rules=[rule(clause("", "segmentMatch", "one"))])
    rules = [rule(clause("", "segmentMatch", "two"))]
    answer = root.patch(f"{URL}one/", {"rules": rules})
    assert answer.status_code == 400
    assert answer.json()["errors"]["rules"][0].startswith("Rule 1, condition 1: ")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("unbounded", True),
        ("included", ["ada"]),
        ("version", 99),
        ("warnings", ["none"]),
        ("is_active", "true"),
        ("name", 1),
        ("key", "employee"),
        ("key", "no spaces"),
    ],
)
def test_any_other_fault_is_named_too(root: APIClient, field: str, value: Any) -> None:
    answer = root.post(URL, {"key": "paying", "name": "Paying", field: value})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_the_key_cannot_change(root: APIClient) -> None:
    SegmentFactory.create(key="paying")
    answer = root.patch(f"{URL}paying/", {"key": "payers"})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["key"])
