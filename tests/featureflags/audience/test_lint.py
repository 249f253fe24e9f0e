"""What is odd about rules beside the values that users have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from featureflags.admin.rule_editor import preview
from featureflags.audience import lint, lint_segment
from featureflags.audience.sql.statement_timeout import TimeIsUp
from featureflags.segments.parsing import parse_definition
from tests.emptying import empty_caches
from tests.factories import SegmentFactory, UserFactory, clause, rule

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def people() -> None:
    for number in range(3):
        UserFactory.create(
            metadata={"country": "Germany", "seats": number, "plan": "pro", "tags": ["a"]}
        )
    UserFactory.create(metadata={"country": "France", "seats": 7, "plan": "team", "app": "1.2.0"})
    # What another test has suggested.
    empty_caches()


def found(*rules: Mapping[str, Any]) -> list[str]:
    return [
        str(one) for one in lint_segment(parse_definition({"key": "s", "rules": rules})).findings
    ]


def test_a_metadata_field_that_nobody_has_is_named_with_the_nearest() -> None:
    assert found(rule(clause("custom_contry", "in", "Germany"))) == [
        "Rule 1, condition 1: nobody has the metadata field “contry”. Did you mean “country”?"
    ]
    assert found(rule(clause("custom_xyzzy", "exists", True))) == [
        "Rule 1, condition 1: nobody has the metadata field “xyzzy”."
        " Look at its spelling, or wait until somebody has it."
    ]


def test_a_value_that_nobody_has_is_named_with_the_nearest() -> None:
    assert found(rule(clause("custom_country", "in", "Germny", "Germany"))) == [
        'Rule 1, condition 1: nobody has the value "Germny". Did you mean "Germany"?'
    ]
    assert found(rule(clause("custom_country", "in", "Wonderland", "Germany"))) == [
        'Rule 1, condition 1: nobody has the value "Wonderland". Remove it, or look at its spelling.'
    ]
    # A rare value is not suggested, as it may identify a person, but it is known.
    assert found(rule(clause("custom_country", "in", "France"))) == []
    assert found(rule(clause("email_domain", "in", "exmaple.com"))) == [
        'Rule 1, condition 1: nobody has the value "exmaple.com". Did you mean "example.com"?'
    ]


def test_choices_and_truth_are_never_named() -> None:
    rules = [rule(clause("role", "in", "system", "user")), rule(clause("is_staff", "in", False))]

    assert found(*rules) == []


def test_a_comparison_that_does_not_fit_the_values_is_named() -> None:
    assert found(rule(clause("custom_seats", "startsWith", "1")))[0] == (
        "Rule 1, condition 1: “seats” holds numbers, and this condition looks for text."
        " Choose another comparison, or values of that type."
    )
    assert "looks for text" in found(rule(clause("custom_seats", "in", "7")))[0]
    # A version is text too.
    assert found(rule(clause("custom_app", "startsWith", "1."))) == []
    assert "holds text" in found(rule(clause("custom_app", "greaterThan", 1)))[0]
    # Elements of a list may be anything.
    assert found(rule(clause("custom_tags", "startsWith", "a"))) == []


def test_a_rule_that_nobody_matches_is_named_unless_a_condition_explains_it() -> None:
    together = rule(clause("custom_plan", "in", "team"), clause("custom_country", "in", "Germany"))

    assert found(together) == [
        "Rule 1: nobody matches it at the moment."
        " Remove it, or look at its conditions: together they exclude everybody."
    ]


def test_a_percentage_and_a_nested_segment_are_understood() -> None:
    SegmentFactory.create(key="teams", rules=[rule(clause("custom_plan", "in", "team"))])
    nested = {"attribute": "", "op": "segmentMatch", "values": ["teams"]}

    assert found(rule(nested, weight=1)) == []
    assert [one[:15] for one in found(rule(nested, clause("custom_seats", "lessThan", 7)))] == [
        "Rule 1: nobody "
    ]


def test_without_time_the_rest_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*_args: object, **_options: object) -> None:
        raise TimeIsUp

    monkeypatch.setattr(lint, "segment_sizes", late)
    definition = parse_definition(
        {"key": "s", "rules": [rule(clause("custom_x", "in", 1), weight=0)]}
    )

    answer = lint_segment(definition)

    assert not answer.is_complete
    assert [one.code for one in answer.findings] == ["percentage"]


TYPO = rule(clause("custom_contry", "in", "Germany"))
SAID = "nobody has the metadata field “contry”"


def test_the_api_says_it_of_a_stored_segment_and_of_rules_to_preview(client: Client) -> None:
    SegmentFactory.create(key="germans", rules=[TYPO])
    api = APIClient()
    api.force_authenticate(UserFactory.create(superuser=True))

    stored = api.get("/api/v1/segments/germans/lint/").json()
    asked = api.post("/api/v1/segments/other/preview/", {"rules": [TYPO]}, format="json").json()

    assert stored == asked["lint"]
    assert stored["is_complete"]
    assert [one["message"] for one in stored["findings"]] == [SAID]
    assert api.get("/api/v1/segments/nowhere/lint/").status_code == 404


def test_the_editor_names_it_and_never_fails(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.force_login(UserFactory.create(superuser=True))
    address = reverse("admin:featureflags_lint")

    def ask(rules: str) -> str:
        answer = client.post(address, {"segment": "", "rules": rules, "is_active": "on"})
        assert answer.status_code == 200
        return answer.content.decode()

    assert SAID in ask(json.dumps([TYPO]))
    assert 'href="#rule-1-condition-1"' in ask(json.dumps([TYPO]))
    assert ask("[{").strip() == ask('[{"clauses": []}]').strip() == ""

    def down(*_args: object) -> None:
        raise OperationalError

    monkeypatch.setattr(preview, "lint_segment", down)
    assert ask(json.dumps([TYPO])).strip() == ""
