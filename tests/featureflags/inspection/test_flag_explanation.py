"""Why a flag has its value: the explained rules agree with LaunchDarkly's evaluator."""

from __future__ import annotations

from typing import Any

import pytest

from featureflags.inspection.flag_explanation import FlagExplanation, explain_flag
from featureflags.inspection.rollouts import serving_of, variation_of
from featureflags.segments.explanation_tree import MISSING
from tests.featureflags.inspection.explaining import ADA, RULE_MATCH, data
from tests.services.flag_json import (
    boolean_flag,
    clause,
    prerequisite,
    rollout,
    rule,
    segment,
    segment_rule,
    string_flag,
)

FALLTHROUGH = {"kind": "FALLTHROUGH"}


def explained(
    *rules: dict[str, Any],
    reason: dict[str, Any] = RULE_MATCH,
    segments: tuple[dict[str, Any], ...] = (),
    context: dict[str, Any] = ADA,
) -> FlagExplanation:
    given = data(boolean_flag("beta", rules=rules), segments=segments)
    found = explain_flag("beta", given, context, reason, context.get("segments", ()))
    assert found is not None
    return found


class TestClauses:
    def test_a_condition_on_segments_leads_to_them(self) -> None:
        found = explained(segment_rule("employee", "intern"))
        [one] = found.rules
        [condition] = one.clauses
        assert (one.matched, condition.held) == (True, True)
        assert condition.observed == ["employee", "user"]
        assert condition.segments == ("employee", "intern")
        assert condition.why == (
            'segments is ["employee", "user"]: it is any of "employee" or "intern"'
        )
        assert found.django_segments == ("employee", "intern")

    def test_a_condition_that_did_not_hold_leads_to_what_it_names(self) -> None:
        found = explained(segment_rule("intern"), reason=FALLTHROUGH)
        assert (found.rules[0].matched, found.decided_by, found.agrees) == (False, None, True)
        assert found.rules[0].clauses[0].segments == ("intern",)

    def test_an_operator_that_matches_by_accident_leads_to_what_it_matched(self) -> None:
        found = explained(rule(clause("segments", "contains", "emp")))
        assert found.rules[0].clauses[0].segments == ("employee",)

    def test_a_path_to_a_segment(self) -> None:
        context = {**ADA, "segment": {"employee": True}}
        found = explained(rule(clause("/segment/employee", "in", True)), context=context)
        [condition] = found.rules[0].clauses
        assert (condition.held, condition.observed) == (True, True)
        assert condition.segments == ("employee",)

    def test_what_the_user_lacks_never_holds(self) -> None:
        found = explained(rule(clause("plan", "in", "pro", negate=True)), reason=FALLTHROUGH)
        [condition] = found.rules[0].clauses
        assert (condition.held, condition.observed) == (False, MISSING)
        assert "is not known" in condition.why

    def test_another_kind_of_context_never_holds(self) -> None:
        other = {**clause("plan", "in", "pro", negate=True), "contextKind": "org"}
        [condition] = explained(rule(other), reason=FALLTHROUGH).rules[0].clauses
        assert condition.held is False
        assert condition.why == 'there is no context of the kind "org": no match'

    def test_each_condition_sees_the_context_of_its_kind(self) -> None:
        seats = {**clause("seats", "greaterThan", 50), "contextKind": "org"}
        both = {"kind": "multi", "user": ADA, "org": {"key": "acme", "seats": 70}}
        [one] = explained(rule(seats, clause("role", "in", "user")), context=both).rules
        assert [condition.observed for condition in one.clauses] == [70, "user"]
        assert one.matched is True

    def test_what_cannot_be_known_is_not_guessed(self) -> None:
        """RE2 has no look-ahead, Python's expressions have."""
        found = explained(rule(clause("role", "matches", "u(?=ser)")))
        assert found.rules[0].clauses[0].held is None
        assert found.rules[0].matched is None
        assert found.agrees


class TestLaunchDarklysSegments:
    def test_the_way_through_one(self) -> None:
        staff = segment("staff", rules=[[clause("segments", "in", "employee")]])
        found = explained(rule(clause("", "segmentMatch", "staff")), segments=(staff,))
        [condition] = found.rules[0].clauses
        assert (condition.held, condition.launchdarkly_segments) == (True, ("staff",))
        trace = found.segments["staff"]
        assert (trace.verdict, trace.decided_by) == (True, "rule 1")
        assert trace.rules[0].clauses[0].segments == ("employee",)
        assert found.django_segments == ("employee",)

    def test_segments_of_segments_in_the_order_in_which_they_are_met(self) -> None:
        outer = segment("outer", rules=[[clause("", "segmentMatch", "inner", negate=True)]])
        inner = segment("inner", rules=[[clause("segments", "in", "intern")]])
        found = explained(rule(clause("", "segmentMatch", "outer")), segments=(inner, outer))
        assert list(found.segments) == ["outer", "inner"]
        assert [trace.verdict for trace in found.segments.values()] == [True, False]

    @pytest.mark.parametrize(
        ("given_segment", "verdict", "decided_by"),
        [
            (segment("s", included=["ada"], excluded=["ada"]), True, "included"),
            (segment("s", excluded=["ada"], rules=[[]]), False, "excluded"),
            (segment("s", rules=[[]]), True, "rule 1"),
            (segment("s"), False, "no rule"),
            ({**segment("s"), "unbounded": True}, None, "unbounded"),
            (segment("s", rules=[[clause("", "segmentMatch", "s")]]), None, "rule 1"),
            (segment("another"), False, "unknown"),
            (
                {
                    **segment("s"),
                    "includedContexts": [
                        {"contextKind": "org", "values": ["ada"]},
                        {"contextKind": "user", "values": ["ada"]},
                    ],
                },
                True,
                "included",
            ),
        ],
    )
    def test_what_decides(
        self, given_segment: dict[str, Any], verdict: bool | None, decided_by: str
    ) -> None:
        found = explained(rule(clause("", "segmentMatch", "s")), segments=(given_segment,))
        trace = found.segments["s"]
        assert (trace.verdict, trace.decided_by) == (verdict, decided_by)

    def test_a_long_chain_ends(self) -> None:
        chain = [
            segment(f"s{n}", rules=[[clause("", "segmentMatch", f"s{n + 1}")]]) for n in range(500)
        ]
        found = explained(rule(clause("", "segmentMatch", "s0")), segments=tuple(chain))
        assert found.rules[0].matched is None


class TestDeciding:
    def test_without_a_reason_of_the_sdk_there_is_no_explanation(self) -> None:
        found = explained(segment_rule("intern"))
        assert not found.agrees
        found = explained(segment_rule("employee"), reason=FALLTHROUGH)
        assert not found.agrees

    def test_a_rule_that_has_changed_since(self) -> None:
        reason = {"kind": "RULE_MATCH", "ruleIndex": 0, "ruleId": "gone"}
        found = explained(segment_rule("employee"), reason=reason)
        assert (found.decided_by, found.has_changed, found.agrees) == (None, True, True)

    def test_prerequisites(self) -> None:
        needed = string_flag("colour", ("red", "blue"))
        beta = boolean_flag("beta", prerequisites=[prerequisite("colour", 1), prerequisite("gone")])
        found = explain_flag("beta", data(needed, beta), ADA, FALLTHROUGH)
        assert found is not None
        first, second = found.prerequisites
        assert (first.flag, first.wanted.value, first.exists, first.on) == (
            "colour",
            "blue",
            True,
            True,
        )
        assert (second.flag, second.exists, second.on) == ("gone", False, False)

    def test_no_such_flag(self) -> None:
        assert explain_flag("beta", data(), ADA, FALLTHROUGH) is None


class TestServing:
    def test_shares(self) -> None:
        beta = boolean_flag("beta", fallthrough=rollout(25_000, 75_000))
        found = serving_of(beta["fallthrough"], beta, contexts={"user": ADA})
        assert [(share.value, share.percent) for share in found.shares] == [
            (True, 25.0),
            (False, 75.0),
        ]
        assert found.bucket is not None
        assert found.value is (found.bucket < 0.25)
        nobody = serving_of(beta["fallthrough"], beta)
        assert (nobody.bucket, nobody.variation, len(nobody.shares)) == (None, None, 2)

    @pytest.mark.parametrize("index", [None, -1, 2, True, "0", 0.0])
    def test_an_invalid_index(self, index: Any) -> None:
        assert variation_of(boolean_flag("beta"), index).variation is None
