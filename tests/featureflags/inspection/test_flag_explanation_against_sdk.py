"""Explanations of random flags agree with what the SDK answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featureflags.inspection.flag_explanation import explain_flag
from tests.featureflags.inspection.explaining import ADA, RULE_MATCH, data
from tests.featureflags.inspection.odd_json import ODD_ITEMS
from tests.featureflags.segments.sdk import Sdk
from tests.services.flag_json import clause, flag, segment


@pytest.fixture(scope="module")
def sdk() -> Iterator[Sdk]:
    oracle = Sdk()
    yield oracle
    oracle.close()


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
    {"weight": 40_000, "rolloutContextKind": "org"},
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
        contexts = [{"contextKind": draw(st.sampled_from(["org", "user"])), "values": draw(listed)}]
        side = draw(st.sampled_from(["includedContexts", "excludedContexts"]))
        found.append({**made, "rules": rules, side: contexts})
    return found


@st.composite
def _flags(draw: st.DrawFn) -> dict[str, Any]:
    made = flag("beta", ["x", "y", "z"], on=True, fallthrough=0, off_variation=2)
    rules = [
        {"id": f"rule-{number}", "clauses": draw(CLAUSES), **draw(SERVED)}
        for number in range(draw(st.integers(0, 3)))
    ]
    return {**made, "rules": rules, "fallthrough": draw(SERVED)}


OWN = st.fixed_dictionaries(
    {
        "kind": st.just("user"),
        "key": st.sampled_from(["ada", "bob", "eve", "7"]),
        "segments": LISTS,
        "deep": st.one_of(st.just({}), st.fixed_dictionaries({"er": VALUES})),
    },
    optional={"role": VALUES, "age": VALUES},
)
OF_ORG = OWN.map(lambda context: {**context, "kind": "org"})
PARTS = st.tuples(OWN, OF_ORG).map(
    lambda pair: (
        {"kind": "multi"}
        | {each["kind"]: {name: each[name] for name in each if name != "kind"} for each in pair}
    )
)
CONTEXTS = st.one_of(OWN, OWN, OF_ORG, PARTS)


def segments_of(context: dict[str, Any]) -> set[str]:
    """Of all parts."""
    parts = [context, context.get("user", {}), context.get("org", {})]
    return {key for part in parts for key in part.get("segments", ())}


@given(beta=_flags(), segments=_segments(), context=CONTEXTS)
def test_it_leads_to_what_the_sdk_answers(
    sdk: Sdk, beta: dict[str, Any], segments: list[dict[str, Any]], context: dict[str, Any]
) -> None:
    detail = sdk.detail(beta, segments, context)
    found = explain_flag(
        "beta", data(beta, segments=tuple(segments)), context, detail.reason, segments_of(context)
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


@given(ODD_ITEMS)
def test_json_of_another_shape_raises_nothing(raw: Any) -> None:
    odd = {"flags": raw, "segments": raw}
    for key in raw:
        found = explain_flag(key, odd, ADA, RULE_MATCH, ["employee"])
        assert found is not None
        json.dumps([each.words for rule in found.rules for each in rule.clauses])
