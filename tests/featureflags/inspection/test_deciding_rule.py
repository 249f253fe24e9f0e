"""What decided an answer."""

from __future__ import annotations

from typing import Any

import pytest

from featureflags.evaluation import looking, variation_detail
from featureflags.evaluation.resolve import resolve
from featureflags.inspection.deciding_rule import decision
from featureflags.launchdarkly.client import feature_store
from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.services.flag_json import boolean_flag, clause, rule

RULES = [
    rule(clause("role", "in", "admin"), rule_id="first"),
    {
        **rule(
            clause("segments", "in", "employee", "x"),
            clause("segments", "in", "new_user", negate=True),
            rule_id="second",
        ),
        "description": "Staff",
    },
]
BETA = boolean_flag("beta", rules=RULES)


class TestDeciding:
    reason = {"kind": "RULE_MATCH", "ruleIndex": 1, "ruleId": "second"}

    def test_the_rule_and_its_conditions(self) -> None:
        found = decision("beta", BETA, self.reason, ["employee", "user"])
        assert found is not None
        assert (found.rule, found.rule_id, found.has_changed) == (2, "second", False)
        assert [clause.segments for clause in found.clauses] == [("employee",), ()]
        assert found.words == (
            'Rule 2 (Staff): segments is any of "employee" or "x"'
            ' and segments is not any of "new_user".'
        )
        assert found.to_dict()["clauses"][0]["segments"] == ["employee"]

    def test_other_attributes_match_no_segment(self) -> None:
        """A role may be called like a segment."""
        found = decision(
            "beta", BETA, {**self.reason, "ruleIndex": 0, "ruleId": "first"}, ["admin"]
        )
        assert found is not None
        assert found.clauses[0].segments == ()

    def test_a_rule_that_has_moved_is_found_by_its_id(self) -> None:
        moved = boolean_flag("beta", rules=list(reversed(RULES)))
        found = decision("beta", moved, self.reason)
        assert found is not None
        assert (found.rule, found.rule_id, found.has_changed) == (1, "second", True)

    def test_a_rule_that_is_gone_is_not_guessed(self) -> None:
        changed = boolean_flag("beta", rules=[RULES[0], {**RULES[1], "id": "third"}])
        found = decision("beta", changed, self.reason)
        assert found is not None
        assert (found.rule, found.clauses, found.has_changed) == (None, (), True)
        assert found.words == "A rule that the flag “beta” no longer has."

    @pytest.mark.parametrize("index", [2, -1, None, "1", True])
    def test_an_invalid_index(self, index: Any) -> None:
        found = decision("beta", BETA, {"kind": "RULE_MATCH", "ruleIndex": index})
        assert found is not None
        assert found.rule is None

    @pytest.mark.parametrize("kind", ["OFF", "FALLTHROUGH", "TARGET_MATCH", "ERROR", None])
    def test_other_reasons_have_no_rule(self, kind: str | None) -> None:
        assert decision("beta", BETA, {"kind": kind, "ruleIndex": 1}) is None


@pytest.mark.django_db
class TestRealClient:
    def test_the_reason_of_the_sdk_leads_to_the_rule(self, flag_file: FlagFile) -> None:
        flag_file(boolean_flag("beta", rules=[*RULES]))
        employee = UserFactory.create(employee=True)
        with looking():
            answer = variation_detail("beta", employee)
            raw = feature_store().raw()
            found = decision(
                "beta", raw["flags"]["beta"], answer.reason, resolve(employee).segments
            )
        assert answer.value is True
        assert found is not None
        assert (found.rule, found.has_changed) == (2, False)
        assert found.clauses[0].segments == ("employee",)
