"""The percentage of a rule: LaunchDarkly's buckets, to the last bit, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from featureflags.core.types import JSONValue
from featureflags.segments.definitions import InvalidDefinition, Rule, SegmentDefinition
from featureflags.segments.explain import explain
from featureflags.segments.explanation_tree import Explanation
from featureflags.segments.export import to_launchdarkly
from featureflags.segments.next_change import next_change
from featureflags.segments.parsing import parse_definition, parse_rules
from featureflags.segments.percentages import WHOLE, first_hash_beyond, percent
from featureflags.segments.ruleset import Ruleset
from featureflags.segments.time_attributes import ElapsedDays
from tests.featureflags.segments.making import IS_ONE, clause
from tests.featureflags.segments.proof import PROOF
from tests.featureflags.segments.sdk import Sdk
from tests.featureflags.segments.strategies import HUGE, Json

TEXTS = st.text(max_size=12).filter(lambda text: "\0" not in text)
VALUES: st.SearchStrategy[JSONValue] = st.one_of(
    TEXTS,
    st.integers(-(2**70), 2**70),
    st.sampled_from(
        [None, True, False, 0, -0.0, 1.0, 1.5, "", "1", [], ["a"], {}, HUGE, 10**5000, "\ud800"]
    ),
)
RULE: Json = {"clauses": [{"attribute": "a", "op": "in", "values": [1]}]}


@pytest.fixture(scope="module")
def sdk() -> Iterator[Sdk]:
    oracle = Sdk()
    yield oracle
    oracle.close()


def test_everybody_is_in_the_bucket_of_the_sdk_for_every_key_salt_and_value(sdk: Sdk) -> None:
    seen = {True: 0, False: 0}

    @PROOF
    @given(
        st.text(min_size=1, max_size=12),
        st.one_of(st.none(), TEXTS),
        st.one_of(st.integers(0, WHOLE), st.sampled_from([0, 1, WHOLE])),
        st.sampled_from([None, "", "b", "/b", "key", "o", "kind", "anonymous", "name"]),
        st.sampled_from([None, "user", "other"]),
        VALUES,
        st.text(alphabet="abé𝒳", min_size=1, max_size=4),
    )
    def prove(
        key: str,
        salt: str | None,
        weight: int,
        bucket_by: str | None,
        rollout_kind: str | None,
        value: JSONValue,
        user: str,
    ) -> None:
        rule = {**RULE, "weight": weight, "bucketBy": bucket_by, "rolloutContextKind": rollout_kind}
        raw: Json = {"key": key, "version": 1, "rules": [rule], "salt": salt}
        context: Json = {"kind": "user", "key": user, "a": 1, "b": value, "o": {"x": value}}
        attributes = {name: found for name, found in context.items() if name != "kind"}
        try:
            ruleset = Ruleset([parse_definition(raw)])
        except InvalidDefinition:
            # The text of the key, or the percentage of another kind.
            assert rollout_kind == "other" or "\0" in key or "\0" in (salt or "") or not key
            return
        answer = sdk.answer([raw], key, context)
        event(str(answer))
        ours = key in ruleset.match(attributes, now=0)
        assert ruleset.matches(key, attributes, now=0) is ours
        assert explain(ruleset, key, attributes, now=0).verdict is ours
        # Where the SDK raises, nobody is taken.
        assert ours is (answer is True)
        seen[ours] += 1

    prove()
    assert min(seen.values()) > sum(seen.values()) / 10


@given(st.integers(0, WHOLE))
def test_the_limit_of_a_weight_is_the_first_hash_that_the_sdk_leaves_out(weight: int) -> None:
    limit = int(first_hash_beyond(weight), 16)

    assert not limit / float(0xFFFFFFFFFFFFFFF) < weight / 100000.0
    assert limit == 0 or (limit - 1) / float(0xFFFFFFFFFFFFFFF) < weight / 100000.0
    assert len(first_hash_beyond(weight)) == 15


def percentage(weight: int, *, bucket_by: str = "", key: str = "s", salt: str = "") -> Ruleset:
    rule = Rule(clauses=(IS_ONE,), weight=weight, bucket_by=bucket_by)
    return Ruleset([SegmentDefinition(key=key, rules=(rule,), salt=salt)])


def taken(ruleset: Ruleset, users: range = range(2000)) -> set[int]:
    return {n for n in users if ruleset.match({"key": f"u{n}", "a": 1}, now=0)}


def test_a_larger_percentage_keeps_everybody_whom_the_smaller_one_took() -> None:
    tenth, fifth = taken(percentage(10_000)), taken(percentage(20_000))

    assert 150 < len(tenth) < 250
    assert tenth < fifth
    assert taken(percentage(WHOLE)) == set(range(2000))
    assert taken(percentage(0)) == set()


def test_another_key_and_another_salt_take_others() -> None:
    tenth = taken(percentage(10_000))

    assert len(tenth & taken(percentage(10_000, key="t"))) < 50
    assert len(tenth & taken(percentage(10_000, salt="x"))) < 50


def test_only_those_who_match_are_taken() -> None:
    assert percentage(WHOLE).match({"key": "u", "a": 2}, now=0) == frozenset()


def test_a_changed_salt_is_compiled_again() -> None:
    before = percentage(10_000)
    after = before.evolve(
        [SegmentDefinition(key="s", rules=before.definitions["s"].rules, salt="x")], version=2
    )

    assert taken(after) == taken(percentage(10_000, salt="x"))


def test_the_explanation_says_the_bucket_and_what_the_rule_takes() -> None:
    first = min(taken(percentage(10_000)))
    explanation = explain(percentage(10_000), "s", {"key": f"u{first}", "a": 1}, now=0)
    share = explanation.rules[0].percentage

    assert share is not None
    assert share.held
    assert share.bucket is not None
    assert share.bucket < 0.1
    shown = f"their bucket is {percent(int(share.bucket * WHOLE))} %, the rule takes the first 10 %"
    assert share.why == shown
    assert explanation.lines()[-1] == f"    yes of these the first 10 % by key: {shown}"
    assert _first_rule(explanation)["percentage"] == {
        "condition": "of these the first 10 % by key",
        "bucket": share.bucket,
        "held": True,
        "why": shown,
    }


def test_somebody_who_matches_and_is_not_taken_is_told_their_bucket() -> None:
    first = min(set(range(2000)) - taken(percentage(10_000)))
    explanation = explain(percentage(10_000), "s", {"key": f"u{first}", "a": 1}, now=0)

    assert explanation.decided_by == "no rule"
    assert explanation.rules[0].conditions[0].held
    assert not explanation.rules[0].matched
    assert explanation.lines()[-1].startswith(
        "    no  of these the first 10 % by key: their bucket"
    )


def test_who_lacks_the_attribute_is_in_the_first_bucket() -> None:
    ruleset = percentage(1, bucket_by="company")
    explanation = explain(ruleset, "s", {"key": "u", "a": 1}, now=0)

    assert explanation.verdict
    assert explanation.lines()[-1] == (
        "    yes of these the first 0.001 % by company: company is not known, which is bucket 0:"
        " their bucket is 0 %, the rule takes the first 0.001 %"
    )


def _first_rule(explanation: Explanation) -> dict[str, JSONValue]:
    rules = explanation.to_dict()["rules"]
    assert isinstance(rules, list)
    assert isinstance(rules[0], dict)
    return rules[0]


@pytest.mark.parametrize("weight", [-1, WHOLE + 1, 1.5, 10_000.0, True, "10"])
def test_a_weight_is_a_whole_number_of_thousandths_of_a_per_cent(weight: object) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        parse_rules([{**RULE, "weight": weight}])

    assert str(refused.value) == (
        "Rule 1: weight must be a whole number from 0 to 100000, which is 100 %"
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"bucketBy": "/a//b", "rolloutContextKind": "user"}, "the path '/a//b' has an empty part"),
        ({"bucketBy": 3}, "bucketBy must be text"),
        ({"rolloutContextKind": "org"}, "the percentage is of 'org', and the segment on 'user'"),
    ],
)
def test_a_percentage_that_has_no_meaning_here_is_refused(
    changes: dict[str, object], why: str
) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        parse_rules([{**RULE, "weight": 1, **changes}])

    assert str(refused.value) == f"Rule 1: {why}"


def test_stored_rules_with_a_bad_percentage_match_nobody() -> None:
    rule = Rule(clauses=(IS_ONE,), weight=WHOLE, bucket_by="/a//b", rollout_context_kind="user")
    ruleset = Ruleset([SegmentDefinition(key="s", rules=(rule,))])

    assert ruleset.match({"key": "u", "a": 1}, now=0) == frozenset()
    assert [str(found) for found in ruleset.problems["s"]] == [
        "Rule 1: the path '/a//b' has an empty part"
    ]


def test_the_export_gives_back_what_was_read() -> None:
    rule = {**RULE, "weight": 10_000, "bucketBy": "/a~1b", "rolloutContextKind": "user"}
    raw = {"key": "s", "salt": "x", "rules": [rule, {**RULE, "bucketBy": "b"}]}
    definition = parse_definition(raw)

    dumped = to_launchdarkly(definition)
    assert dumped["salt"] == "x"
    assert parse_definition(dumped) == definition


def test_the_percentage_of_another_kind_names_it_for_launchdarkly() -> None:
    raw = {"key": "s", "kind": "org", "rules": [{**RULE, "weight": 10_000, "bucketBy": "/a"}]}
    definition = parse_definition(raw)

    [rule] = parse_definition(to_launchdarkly(definition)).rules
    assert (rule.rollout_context_kind, rule.bucket_by) == ("org", "/~1a")
    assert parse_definition(to_launchdarkly(definition, native=True)) == definition


def test_nothing_changes_by_itself_but_the_value_that_decides() -> None:
    clocks = {"age": ElapsedDays(since=0)}
    user: Json = {"key": "u", "a": 1, "age": 0}
    by_key, by_age = percentage(10_000), percentage(10_000, bucket_by="age")

    assert next_change(by_key, user, clocks, now=5) is None
    assert next_change(by_age, user, clocks, now=5) == 24 * 3600 * 1_000_000
    assert next_change(by_age, user, clocks, now=5, segment_keys=["s"]) is not None
    assert next_change(by_age, user, clocks, now=5, segment_keys=["other"]) is None


def test_the_index_asks_for_the_bucket_last_and_only_of_those_who_match() -> None:
    rules = (
        Rule(clauses=(IS_ONE, clause("lessThan", 5, attribute="b")), weight=50_000),
        Rule(clauses=(clause("in", 2),)),
    )
    ruleset = Ruleset([SegmentDefinition(key="s", rules=rules)])

    inside = {n for n in range(500) if ruleset.match({"key": f"u{n}", "a": 1, "b": 4}, now=0)}
    assert 200 < len(inside) < 300
    assert ruleset.match({"key": "u", "a": 2}, now=0) == {"s"}
    assert not any(ruleset.match({"key": f"u{n}", "a": 1, "b": 5}, now=0) for n in range(50))


def test_a_draft_under_another_key_takes_those_of_its_segment() -> None:
    [rule] = percentage(10_000).definitions["s"].rules
    draft = SegmentDefinition(key="draft", rules=(rule,), bucket_key="s")

    assert taken(Ruleset([draft])) == taken(percentage(10_000))
