"""Who targets a segment, and what decided: from LaunchDarkly's JSON alone, then from a real client."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from featureflags.evaluation import looking, override_flag, variation_detail
from featureflags.inspection.deciding import decision
from featureflags.inspection.reading import flag_in_words, flag_view, flags, segments
from featureflags.inspection.targeting import named_segments, uses_of
from featureflags.launchdarkly.client import close, feature_store
from featureflags.resolving import resolve
from tests.conftest import FlagFile
from tests.factories import UserFactory
from tests.services.launchdarkly import (
    LaunchDarklyServer,
    boolean_flag,
    clause,
    flag,
    prerequisite,
    rule,
    segment,
    segment_rule,
    string_flag,
)

Data = dict[str, dict[str, Any]]


def data(*flags_: dict[str, Any], segments_: tuple[dict[str, Any], ...] = ()) -> Data:
    return {
        "flags": {each["key"]: each for each in flags_},
        "segments": {each["key"]: each for each in segments_},
    }


def on(*clauses: dict[str, Any], key: str = "beta") -> dict[str, Any]:
    return boolean_flag(key, rules=[rule(*clauses, rule_id="r1")])


STAFF = segment("staff", rules=[[clause("segments", "in", "employee")]])
NOT_STAFF = segment("others", rules=[[clause("", "segmentMatch", "staff", negate=True)]])

TARGETING: list[tuple[str, dict[str, Any], bool]] = [
    # what it is, a clause, whether it targets `new_user`
    ("direct", clause("segments", "in", "other", "new_user"), True),
    ("another segment", clause("segments", "in", "user"), False),
    ("another attribute", clause("role", "in", "new_user"), False),
    ("a path", clause("/segments", "in", "new_user"), True),
    ("a path to it", clause("/segment/new_user", "in", True), True),
    ("a path to another", clause("/segment/user", "in", True), False),
    ("negated", clause("segments", "in", "new_user", negate=True), True),
    ("a part of it", clause("segments", "contains", "user"), True),
    ("its beginning", clause("segments", "startsWith", "new"), True),
    ("its end", clause("segments", "endsWith", "_user"), True),
    ("an expression", clause("segments", "matches", "^new"), True),
    ("a bad expression", clause("segments", "matches", "("), False),
    ("not its beginning", clause("segments", "startsWith", "user"), False),
    ("no text", clause("segments", "in", 5, None, ["new_user"]), False),
    (
        "another kind",
        {**clause("segments", "in", "new_user"), "contextKind": "organization"},
        False,
    ),
    ("a path that is none", clause("/segments//", "in", "new_user"), False),
    ("an operator of numbers", clause("segments", "lessThan", "new_user"), False),
]


@pytest.mark.parametrize(
    ("what", "given_clause", "expected"), TARGETING, ids=[c[0] for c in TARGETING]
)
def test_which_clauses_target_a_segment(
    what: str, given_clause: dict[str, Any], expected: bool
) -> None:
    assert bool(uses_of("new_user", data(on(given_clause)))) is expected


def test_an_old_rule_without_a_kind() -> None:
    old = {"attribute": "segments", "op": "in", "values": ["new_user"]}
    assert uses_of("new_user", data(on(old)))


def test_a_key_with_a_slash_is_escaped_in_a_path() -> None:
    (use,) = uses_of("a/b", data(on(clause("/segment/a~1b", "in", True))))
    assert use.by_name


def test_only_in_names_it() -> None:
    found = data(
        on(clause("segments", "contains", "user")), on(clause("segments", "in", "x"), key="y")
    )
    (use,) = uses_of("new_user", found)
    assert not use.by_name
    assert list(named_segments(found)) == ["x"]


class TestWays:
    def test_direct_in_words(self) -> None:
        described = {
            **rule(clause("role", "in", "user"), clause("segments", "in", "employee", "x")),
            "description": "Staff first",
        }
        (use,) = uses_of("employee", data(boolean_flag("beta", rules=[rule(), described])))
        assert (use.direct, use.negated) == (True, False)
        assert use.words == (
            "rule 2 (Staff first), condition 2 of the flag “beta”: "
            'segments is any of "employee" or "x"'
        )

    def test_through_a_launchdarkly_segment(self) -> None:
        beta = on(clause("", "segmentMatch", "staff"))
        (use,) = uses_of("employee", data(beta, segments_=(STAFF,)))
        assert (use.direct, use.negated) == (False, False)
        assert [(step.kind, step.key) for step in use.path] == [
            ("flag", "beta"),
            ("segment", "staff"),
        ]
        assert use.words == (
            'rule 1, condition 1 of the flag “beta”: the user is in segment "staff", '
            "rule 1, condition 1 of LaunchDarkly's segment “staff”: "
            'segments is any of "employee"'
        )

    def test_through_segments_of_segments_negated_once_and_twice(self) -> None:
        once = on(clause("", "segmentMatch", "others"), key="once")
        twice = on(clause("", "segmentMatch", "others", negate=True), key="twice")
        found = uses_of("employee", data(once, twice, segments_=(STAFF, NOT_STAFF)))
        assert [(use.flag, use.negated, len(use.path)) for use in found] == [
            ("once", True, 3),
            ("twice", False, 3),
        ]

    def test_through_prerequisites_of_prerequisites(self) -> None:
        found = data(
            boolean_flag("a", prerequisites=[prerequisite("b")]),
            boolean_flag("b", prerequisites=[prerequisite("c")]),
            on(clause("segments", "in", "employee", negate=True), key="c"),
        )
        uses = uses_of("employee", found)
        assert [(use.flag, use.negated) for use in uses] == [("a", True), ("b", True), ("c", True)]
        assert uses[0].words.startswith(
            "the flag “a” needs the flag “b” first, the flag “b” needs the flag “c” first, rule 1"
        )

    def test_a_flag_that_is_off_counts(self) -> None:
        off = boolean_flag("beta", on=False, rules=[segment_rule("employee")])
        assert uses_of("employee", data(off))

    def test_cycles_end(self) -> None:
        one = segment("one", rules=[[clause("", "segmentMatch", "two", negate=True)]])
        two = segment(
            "two", rules=[[clause("", "segmentMatch", "one")], [clause("segments", "in", "x")]]
        )
        a = boolean_flag("a", prerequisites=[prerequisite("b")])
        b = {**on(clause("", "segmentMatch", "one"), key="b"), "prerequisites": [prerequisite("a")]}
        found = uses_of("x", data(a, b, segments_=(one, two)))
        assert {use.flag for use in found} == {"a", "b"}
        assert {use.negated for use in found} == {True, False}

    def test_many_ways_are_not_all_listed(self) -> None:
        """Forty diamonds: 2⁴⁰ ways to the same condition."""
        layers = []
        for n in range(40):
            below = [[clause("", "segmentMatch", f"{n + 1}{side}")] for side in "ab"]
            layers += [segment(f"{n}{side}", rules=below) for side in "ab"]
        last = [segment(f"40{side}", rules=[[clause("segments", "in", "x")]]) for side in "ab"]
        found = uses_of("x", data(on(clause("", "segmentMatch", "0a")), segments_=(*layers, *last)))
        assert len(found) == 2

    def test_what_does_not_exist_is_no_way(self) -> None:
        lost = {**on(clause("", "segmentMatch", "gone")), "prerequisites": [prerequisite("gone")]}
        assert uses_of("x", data(lost)) == []

    def test_json(self) -> None:
        (use,) = uses_of("employee", data(on(clause("segments", "in", "employee"))))
        assert use.to_dict() == {
            "flag": "beta",
            "segment": "employee",
            "negated": False,
            "direct": True,
            "by_name": True,
            "words": use.words,
            "path": [
                {
                    "kind": "flag",
                    "key": "beta",
                    "rule": 1,
                    "rule_id": "r1",
                    "clause": 1,
                    "negated": False,
                    "words": use.words,
                }
            ],
        }


class TestReading:
    def test_flags(self) -> None:
        colour = string_flag("colour", ("red", "blue"), client_side=True, on=False)
        beta, shown = flags(data(colour, on(clause("segments", "in", "x"))))
        assert (beta.key, beta.type, beta.client_side, beta.rules[0].id) == (
            "beta",
            "boolean",
            False,
            "r1",
        )
        assert (shown.type, shown.variations, shown.client_side) == (
            "string",
            ("red", "blue"),
            True,
        )
        assert flag_in_words(shown) == 'off, string, "red" | "blue"'

    @pytest.mark.parametrize(
        ("variations", "expected"),
        [
            ([1, 2.5], "number"),
            ([True, 1], None),
            ([{"a": 1}, [1], None], "json"),
            ([], None),
            (["a", {}], None),
        ],
    )
    def test_types(self, variations: list[Any], expected: str | None) -> None:
        mixed = flag("x", variations, on=True, fallthrough=0, off_variation=0)
        assert flag_view("x", mixed).type == expected

    def test_segments(self) -> None:
        raw = {
            **segment("s", included=["a", "b"], excluded=["c"]),
            "includedContexts": [{"contextKind": "org", "values": ["d"]}],
        }
        (found,) = segments(data(segments_=(raw,)))
        assert (found.included, found.excluded, found.unbounded) == (3, 1, False)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["rules", "clauses", "values", "prerequisites", "op", "key", "included"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=2), JSON.filter(lambda raw: isinstance(raw, dict))))
def test_json_of_another_shape_raises_nothing(raw: Any) -> None:
    odd = {"flags": raw, "segments": raw}
    json.dumps([each.to_dict() for each in flags(odd)])
    json.dumps([each.to_dict() for each in segments(odd)])
    uses_of("x", odd)
    named_segments(odd)
    for key, one in raw.items():
        decision(key, one, {"kind": "RULE_MATCH", "ruleIndex": 0, "ruleId": "x"})


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
    def test_an_index_that_is_none(self, index: Any) -> None:
        found = decision("beta", BETA, {"kind": "RULE_MATCH", "ruleIndex": index})
        assert found is not None
        assert found.rule is None

    @pytest.mark.parametrize("kind", ["OFF", "FALLTHROUGH", "TARGET_MATCH", "ERROR", None])
    def test_other_reasons_have_no_rule(self, kind: str | None) -> None:
        assert decision("beta", BETA, {"kind": kind, "ruleIndex": 1}) is None


@pytest.mark.django_db
class TestRealClient:
    def test_what_the_sdk_says_leads_to_the_rule(self, flag_file: FlagFile) -> None:
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

    def test_the_store_holds_flags_and_segments_without_overrides(self, settings: Settings) -> None:
        with LaunchDarklyServer(on(clause("", "segmentMatch", "staff"))) as server:
            server.set_segment(STAFF)
            settings.FEATUREFLAGS = {
                **settings.FEATUREFLAGS,
                "SDK_KEY": server.sdk_key,
                "BASE_URI": server.url,
                "STREAM_URI": server.url,
                "EVENTS_URI": server.url,
                "SEND_EVENTS": True,
            }
            with looking(), override_flag("beta", True):
                (use,) = uses_of("employee", feature_store().raw())
            close()
            assert use.flag == "beta"
            assert server.events() == []
