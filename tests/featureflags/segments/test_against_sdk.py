"""Python equals the LaunchDarkly SDK's own evaluator, wherever that one answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featureflags.segments.explain import explain
from featureflags.segments.ruleset import Ruleset
from tests.featureflags.segments.proof import PROOF, Tally
from tests.featureflags.segments.sdk import Sdk
from tests.featureflags.segments.strategies import (
    FAMILIES,
    Json,
    attributes_of,
    clauses,
    contexts,
    definition,
    operators_of,
    segments,
)

NOW = 1_750_000_000_000_000


@pytest.fixture(scope="module")
def sdk() -> Iterator[Sdk]:
    oracle = Sdk()
    yield oracle
    oracle.close()


def compare(sdk: Sdk, found: list[Json], key: str, context: Json, tally: Tally) -> None:
    """The engine's four ways to an answer agree, with the SDK too if it has an answer."""
    attributes = attributes_of(context)
    ruleset = Ruleset(definition(segment) for segment in found)
    ours = key in ruleset.match(attributes, now=NOW)
    assert ruleset.matches(key, attributes, now=NOW) is ours
    explanation = explain(ruleset, key, attributes, now=NOW)
    assert explanation.verdict is ours
    answer = sdk.answer(found, key, context)
    tally.record(answer, operators_of(found))
    if answer is not None:
        assert ours is answer, "\n".join(explanation.lines())


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_family_of_operators_answers_as_the_sdk_does(sdk: Sdk, name: str) -> None:
    family, tally = FAMILIES[name], Tally()

    @PROOF
    @given(segments("s", clauses(family)), contexts(family.observed))
    def prove(segment: Json, context: Json) -> None:
        compare(sdk, [segment], "s", context, tally)

    prove()
    tally.check(family.ops)


def segment_matches(*keys: str) -> st.SearchStrategy[Json]:
    return st.builds(
        lambda values, negate: {
            "attribute": "",
            "op": "segmentMatch",
            "values": values,
            "negate": negate,
        },
        st.lists(st.sampled_from(["unknown", *keys]), max_size=2),
        st.booleans(),
    )


def test_nested_segments_answer_as_in_the_sdk(sdk: Sdk) -> None:
    plain = st.one_of(clauses(FAMILIES["equality"]), clauses(FAMILIES["numeric"]))
    tally = Tally()

    @PROOF
    @given(
        segments("s1", plain),
        segments("s2", st.one_of(plain, segment_matches("s1"))),
        segments("s3", st.one_of(segment_matches("s1", "s2"), segment_matches("s2"), plain)),
        contexts(FAMILIES["numeric"].observed),
    )
    def prove(one: Json, two: Json, three: Json, context: Json) -> None:
        compare(sdk, [three, one, two], "s3", context, tally)

    prove()
    tally.check(("segmentMatch", "in"))
