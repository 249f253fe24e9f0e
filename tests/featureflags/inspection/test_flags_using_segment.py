"""Which flags target a Django segment, from LaunchDarkly's JSON alone, then from a real client."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django.fixtures import Settings

from featureflags.evaluation import looking, override_flag
from featureflags.inspection.flags_using_segment import (
    named_segments,
    uses_by_flag,
    uses_of,
    uses_of_each,
)
from featureflags.launchdarkly.client import close, feature_store
from tests.featureflags.inspection.building import data, on
from tests.services.flag_json import boolean_flag, clause, prerequisite, rule, segment, segment_rule
from tests.services.launchdarkly import LaunchDarklyServer

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
    ("a path into something else", clause("/custom_plan/new_user", "in", True), False),
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

    def test_a_flag_that_is_off_counts_and_is_not_live(self) -> None:
        off = boolean_flag("beta", on=False, rules=[segment_rule("employee")])
        on_too = boolean_flag("gamma", rules=[segment_rule("employee")])
        found = uses_of("employee", data(off, on_too))
        assert [(use.flag, use.live) for use in found] == [("beta", False), ("gamma", True)]

    def test_what_is_behind_a_flag_that_is_off_is_not_live(self) -> None:
        """The SDK gives the off variation if a prerequisite is off, and looks no further."""
        needs = boolean_flag("needs", prerequisites=[prerequisite("beta")])
        off = boolean_flag("beta", on=False, rules=[segment_rule("employee")])
        assert [use.live for use in uses_of("employee", data(needs, off))] == [False, False]

    def test_a_live_way_is_not_hidden_behind_a_shorter_one_that_is_not(self) -> None:
        staff = clause("", "segmentMatch", "staff")
        found = data(
            boolean_flag("a", prerequisites=[prerequisite("off"), prerequisite("on")]),
            {**on(staff, key="off"), "on": False},
            on(staff, key="on"),
            segments_=(STAFF,),
        )
        lives = [use.live for use in uses_of("employee", found) if use.flag == "a"]
        assert lives == [False, True]

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

    def test_a_path_through_something_missing_is_ignored(self) -> None:
        lost = {**on(clause("", "segmentMatch", "gone")), "prerequisites": [prerequisite("gone")]}
        assert uses_of("x", data(lost)) == []

    def test_many_segments_at_once_are_as_one_by_one(self) -> None:
        found = data(
            on(clause("segments", "in", "employee", "x"), key="a"),
            on(clause("segments", "contains", "user"), key="b"),
            on(clause("", "segmentMatch", "others"), key="c"),
            segments_=(STAFF, NOT_STAFF),
        )
        keys = ["employee", "new_user", "user", "nowhere"]
        assert uses_of_each(keys, found) == {key: uses_of(key, found) for key in keys}
        assert uses_of_each(keys, found)["nowhere"] == []

    def test_by_flag_includes_flags_that_use_no_segment(self) -> None:
        found = data(
            on(clause("segments", "in", "employee", "x"), key="a"),
            on(clause("segments", "contains", "user"), key="b"),
            on(clause("", "segmentMatch", "staff"), clause("role", "in", "admin"), key="c"),
            segments_=(STAFF,),
        )
        used = {key: [use.segment for use in uses] for key, uses in uses_by_flag(found).items()}
        assert used == {"a": ["employee", "x"], "b": [], "c": ["employee"]}

    def test_json(self) -> None:
        (use,) = uses_of("employee", data(on(clause("segments", "in", "employee"))))
        assert use.to_dict() == {
            "flag": "beta",
            "segment": "employee",
            "negated": False,
            "direct": True,
            "by_name": True,
            "live": True,
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


@pytest.mark.django_db
class TestRealClient:
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
