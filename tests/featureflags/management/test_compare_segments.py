"""`compare_segments`: how segments overlap, in words and as JSON."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.factories import SegmentFactory, UserFactory, clause, rule

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def segments() -> None:
    for plan in ("pro", "pro", "free"):
        UserFactory.create(metadata={"plan": plan})
    SegmentFactory.create(key="paying", rules=[rule(clause("custom_plan", "in", "pro"))])
    SegmentFactory.create(key="all", rules=[rule(clause("custom_plan", "in", "pro", "free"))])


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("compare_segments", *arguments, stdout=out)
    return out.getvalue()


def test_words_and_json() -> None:
    lines = [line.split("  ") for line in run("paying", "all").splitlines()]
    found = {line[1].strip(): line[-1].strip() for line in lines}
    assert found == {
        "paying": "2",
        "all": "3",
        "in paying and all": "2",
        "in paying, not in all": "0",
        "in all, not in paying": "1",
        "in none of them": "0",
    }
    body = json.loads(run("paying", "all", "--json"))
    assert body["segments"] == {"paying": 2, "all": 3}
    assert {"in": ["all"], "not_in": ["paying"], "count": 1} in body["parts"]


@pytest.mark.parametrize("keys", [["paying"], ["paying", "paying"], ["paying", "zzz"]])
def test_what_cannot_be_compared_ends_with_an_error(keys: list[str]) -> None:
    with pytest.raises(CommandError):
        run(*keys)
