"""Why a flag has its value: the explained rules agree with LaunchDarkly's evaluator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featureflags.inspection.flag_explanation import FlagExplanation, explain_flag
from featureflags.inspection.rollouts import serving_of, variation_of
from featureflags.segments.explanation_tree import MISSING
from tests.featureflags.segments.sdk import Sdk
from tests.services.flag_json import (
    boolean_flag,
    clause,
    flag,
    prerequisite,
    rollout,
    rule,
    segment,
    segment_rule,
    string_flag,
)

ADA: dict[str, Any] = {
    "kind": "user",
    "key": "ada",
    "role": "user",
    "segments": ["employee", "user"],
    "age": 7,
}
RULE_MATCH = {"kind": "RULE_MATCH", "ruleIndex": 0}
FALLTHROUGH = {"kind": "FALLTHROUGH"}


@pytest.fixture(scope="module")
def sdk() -> Iterator[Sdk]:
    oracle = Sdk()
    yield oracle
    oracle.close()


def data(*flags: dict[str, Any], segments: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {
        "flags": {each["key"]: each for each in flags},
        "segments": {each["key"]: each for each in segments},
    }


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
        found = serving_of(beta["fallthrough"], beta, context=ADA)
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


KEYS = ("a", "b", "c")
VALUES = st.sampled_from(["user", "admin", 7, 8.5, True, None, "2.1.0", "(", "^us", "x"])
LISTS = st.lists(st.sampled_from(["employee", "new_user", "user"]), max_size=3)
PLAIN = st.builds(
    lambda name, op, values, negate, kind: {
        "attribute": name,
        "op": op,
        "values": values,
        "negate": negate,
        **({} if kind is None else {"contextKind": kind}),
    },
    st.sampled_from(["role", "segments", "age", "key", "/deep/er", "kind", "nothing"]),
    st.sampled_from(["in", "contains", "matches", "lessThan", "semVerEqual", "exists", "odd"]),
    st.lists(VALUES, max_size=3),
    st.booleans(),
    st.sampled_from([None, "user", "user", "org"]),
)
MATCH = st.builds(
    lambda values, negate: clause("", "segmentMatch", *values, negate=negate),
    st.lists(st.sampled_from((*KEYS, "gone")), max_size=2),
    st.booleans(),
)
CLAUSES = st.lists(st.one_of(PLAIN, PLAIN, MATCH), max_size=3)
ROLLOUTS = st.builds(
    lambda weights, by, kind, seed, context_kind: {
        "rollout": {
            "kind": kind,
            "bucketBy": by,
            "seed": seed,
            "contextKind": context_kind,
            "variations": [
                {"variation": index, "weight": weight} for index, weight in enumerate(weights)
            ],
        }
    },
    st.lists(st.integers(0, 60_000), min_size=1, max_size=3),
    st.sampled_from([None, "key", "role", "age", "segments", "nothing", "/deep/er"]),
    st.sampled_from(["rollout", "experiment", None]),
    st.sampled_from([None, 61]),
    st.sampled_from([None, "user", "org"]),
)
SERVED = st.one_of(st.integers(0, 2).map(lambda index: {"variation": index}), ROLLOUTS)


SHARES: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"weight": 40_000},
    {"weight": 40_000, "bucketBy": "role", "rolloutContextKind": "user"},
    {"weight": 0, "bucketBy": "segments"},
)


@st.composite
def _segments(draw: st.DrawFn) -> list[dict[str, Any]]:
    found = []
    for key in KEYS:
        rules = [
            {
                "clauses": draw(CLAUSES),
                **draw(st.sampled_from(SHARES)),
            }
            for _ in range(draw(st.integers(0, 2)))
        ]
        listed = st.lists(st.sampled_from(["ada", "bob"]), max_size=1)
        made = segment(key, included=draw(listed), excluded=draw(listed))
        found.append({**made, "rules": rules})
    return found


@st.composite
def _flags(draw: st.DrawFn) -> dict[str, Any]:
    made = flag("beta", ["x", "y", "z"], on=True, fallthrough=0, off_variation=2)
    rules = [
        {"id": f"rule-{number}", "clauses": draw(CLAUSES), **draw(SERVED)}
        for number in range(draw(st.integers(0, 3)))
    ]
    return {**made, "rules": rules, "fallthrough": draw(SERVED)}


CONTEXTS = st.fixed_dictionaries(
    {
        "kind": st.just("user"),
        "key": st.sampled_from(["ada", "bob", "eve", "7"]),
        "segments": LISTS,
        "deep": st.one_of(st.just({}), st.fixed_dictionaries({"er": VALUES})),
    },
    optional={"role": VALUES, "age": VALUES},
)


@given(beta=_flags(), segments=_segments(), context=CONTEXTS)
def test_it_leads_to_what_the_sdk_answers(
    sdk: Sdk, beta: dict[str, Any], segments: list[dict[str, Any]], context: dict[str, Any]
) -> None:
    detail = sdk.detail(beta, segments, context)
    found = explain_flag(
        "beta", data(beta, segments=tuple(segments)), context, detail.reason, context["segments"]
    )
    assert found is not None
    if detail.reason["kind"] == "ERROR":
        return  # A cycle of segments, or an expression that Python cannot read.
    assert found.agrees
    certain = all(rule.matched is not None for rule in found.rules)
    expected = detail.reason["ruleIndex"] if detail.reason["kind"] == "RULE_MATCH" else None
    if certain:
        first = next((n for n, rule in enumerate(found.rules) if rule.matched), None)
        assert first == expected
    serving = found.fallthrough if expected is None else found.rules[expected].serving
    assert serving is not None
    assert serving.variation == detail.variation_index
    assert serving.value == detail.value


NAMES = (
    *("rules", "clauses", "values", "prerequisites", "op", "key", "included", "rollout"),
    *("variations", "variation", "weight", "bucketBy", "fallthrough", "attribute"),
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=2), JSON.filter(lambda raw: isinstance(raw, dict))))
def test_json_of_another_shape_raises_nothing(raw: Any) -> None:
    odd = {"flags": raw, "segments": raw}
    for key in raw:
        found = explain_flag(key, odd, ADA, RULE_MATCH, ["employee"])
        assert found is not None
        json.dumps([each.words for rule in found.rules for each in rule.clauses])
