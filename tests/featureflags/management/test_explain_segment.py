"""`explain_segment`."""

from __future__ import annotations

import json

import pytest

from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.management.conftest import Call


@pytest.mark.django_db
def test_it_shows_each_condition_and_the_observed_value(call: Call) -> None:
    user = UserFactory.create(email="ada@example.com", metadata={"plan": "pro"})
    SegmentFactory.create(
        key="paying",
        rules=[rule(clause("custom_plan", "in", "pro"), clause("account_age_days", "lessThan", 7))],
    )
    ended = call("explain_segment", "paying", "ADA@example.com")
    assert ended.error is None
    assert ended.out.splitlines()[0] == "not in paying: no rule"
    assert 'yes custom_plan is any of "pro": custom_plan is "pro"' in ended.out
    assert "no  account_age_days is less than 7" in ended.out
    by_key = json.loads(call("explain_segment", "paying", str(user.pk), "--json").out)
    assert by_key["verdict"] is False
    assert by_key["rules"][0]["conditions"][0]["observed"] == "pro"
    assert by_key["next_change"] is None


@pytest.mark.django_db
def test_it_shows_until_when_the_verdict_holds(call: Call) -> None:
    user = UserFactory.create(email="new@example.com")
    SegmentFactory.create(
        key="veteran", rules=[rule(clause("account_age_days", "greaterThan", 1000))]
    )
    found = json.loads(call("explain_segment", "veteran", "new@example.com", "--json").out)
    assert found["next_change"] > user.created_at.isoformat()


@pytest.mark.django_db
def test_an_unknown_segment_and_an_unknown_user_are_errors(call: Call) -> None:
    UserFactory.create(email="ada@example.com")
    SegmentFactory.create(key="paying")
    ended = call("explain_segment", "payin", "ada@example.com")
    assert ended.error == "There is no segment 'payin'. Did you mean 'paying'?"
    assert call("explain_segment", "paying", "eve@example.com").error is not None
