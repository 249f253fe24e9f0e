"""Segments that are too large: refused at once and by name, on every way to write them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from featureflags.editing import NotImportable, import_segments
from featureflags.models import Segment
from featureflags.models.limits import TOO_MANY_CLAUSES, TOO_MANY_RULES
from featureflags.models.validation import check_rules
from tests.factories import SegmentFactory, UserFactory, clause, rule, token_for
from tests.featureflags.api.using import use

pytestmark = pytest.mark.django_db

PLAN = clause("custom_plan", "in", "pro")
TOO_MANY = {
    "rules": ([rule(PLAN)] * 3, TOO_MANY_RULES, "Rule 3: a segment has at most 2 rules"),
    "clauses": (
        [rule(PLAN, PLAN), rule(PLAN, PLAN, PLAN)],
        TOO_MANY_CLAUSES,
        "Rule 2: the rules up to this one have 5 conditions; a segment has at most 4",
    ),
}


@pytest.fixture(autouse=True)
def low_limits(settings: Settings) -> None:
    use(settings, MAX_RULES=2, MAX_CLAUSES=4)


@pytest.fixture(params=sorted(TOO_MANY))
def too_many(request: Any) -> tuple[list[Any], str, str]:
    found: tuple[list[Any], str, str] = TOO_MANY[request.param]
    return found


def test_the_problem_names_rule_and_limit(too_many: tuple[list[Any], str, str]) -> None:
    rules, code, message = too_many
    [problem] = check_rules(rules).problems
    assert problem.code == code
    assert str(problem).startswith(message)


def test_exactly_the_limit_is_allowed() -> None:
    assert check_rules([rule(PLAN, PLAN), rule(PLAN, PLAN)]).problems == ()


def test_the_model_refuses_it(too_many: tuple[list[Any], str, str]) -> None:
    rules, code, _ = too_many
    segment = Segment(key="large", name="Large", rules=rules)
    with pytest.raises(ValidationError) as refused:
        segment.save()
    assert [error.code for error in refused.value.error_dict["rules"]] == [code]
    assert not Segment.objects.filter(key="large").exists()


def test_the_api_answers_422(too_many: tuple[list[Any], str, str]) -> None:
    rules, _, message = too_many
    client = APIClient(
        headers={"authorization": f"Bearer {token_for(UserFactory.create(superuser=True))}"}
    )
    body = {"key": "large", "name": "Large", "rules": rules}
    answer = client.post("/api/v1/segments/", body, format="json")
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:guidon:problem:over-limit"
    assert answer.json()["errors"]["rules"][0].startswith(message)
    SegmentFactory.create(key="small")
    answer = client.patch("/api/v1/segments/small/", {"rules": rules}, format="json")
    assert answer.status_code == 422


def test_an_import_and_its_command_refuse_it(
    too_many: tuple[list[Any], str, str], tmp_path: Any
) -> None:
    rules, _, message = too_many
    document = {"segments": {"large": {"key": "large", "rules": rules}}}
    with pytest.raises(NotImportable, match=f"large: {message}"):
        import_segments(document)
    file = tmp_path / "segments.json"
    file.write_text(json.dumps(document))
    with pytest.raises(CommandError, match=message):
        call_command("import_segments", str(file))
    assert not Segment.objects.filter(key="large").exists()


def test_the_admin_shows_it_in_the_preview(
    too_many: tuple[list[Any], str, str], client: Client
) -> None:
    rules, _, message = too_many
    client.force_login(UserFactory.create(superuser=True))
    address = reverse("admin:featureflags_preview")
    sent = {"segment": "", "rules": json.dumps(rules), "is_active": "on"}
    answer = client.post(address, sent)
    assert answer.status_code == 200
    assert message in answer.content.decode()


def test_an_import_counts_only_for_its_time(settings: Settings) -> None:
    """What was not counted in time must be confirmed."""
    use(settings, IMPACT_SECONDS=0.0)
    UserFactory.create(name="aa")
    only_python = rule(clause("name", "matches", "^a+$"))
    document = {"segments": {"some": {"key": "some", "rules": [only_python]}}}
    [examined] = import_segments(document, dry_run=True)
    assert not examined.impact.is_exact
    assert examined.moved.at_least
    assert examined.needs_confirmation
