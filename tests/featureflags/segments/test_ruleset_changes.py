"""Rules that are replaced, and members that come and end."""

from __future__ import annotations

import pytest

from featureflags.segments.definitions import Rule, SegmentDefinition
from featureflags.segments.explain import explain
from featureflags.segments.ruleset import Ruleset
from tests.featureflags.segments.making import IS_ONE, clause, in_segments, segment
from tests.featureflags.segments.strategies import Json


class TestMembers:
    definition = SegmentDefinition(
        key="s",
        rules=(Rule(clauses=(IS_ONE,)),),
        included={"in": None, "in-until": 100, "both": 100},
        excluded={"out": None, "out-until": 100, "both": None},
    )

    @pytest.mark.parametrize(
        ("user", "now", "plain", "by_rule"),
        [
            ("in", 0, True, True),
            ("in-until", 99, True, True),
            ("in-until", 100, False, True),
            ("out", 0, False, False),
            ("out-until", 99, False, False),
            ("out-until", 100, False, True),
            ("both", 99, True, True),
            ("both", 100, False, False),
            ("other", 0, False, True),
        ],
    )
    def test_included_beats_excluded_beats_rules_while_they_last(
        self, user: str, now: int, *, plain: bool, by_rule: bool
    ) -> None:
        ruleset = Ruleset([self.definition, segment("nested", [in_segments("s")])])
        for attribute, expected in ((2, plain), (1, by_rule)):
            attributes: Json = {"key": user, "a": attribute}
            matched = ruleset.match(attributes, now=now)
            assert matched == ({"s", "nested"} if expected else set())
            for key in ("s", "nested"):
                assert ruleset.matches(key, attributes, now=now) is expected

    def test_the_explanation_names_what_decided(self) -> None:
        ruleset = Ruleset([self.definition])
        decided = {
            user: explain(ruleset, "s", {"key": user, "a": 1}, now=50).decided_by
            for user in ("in", "out", "both", "other")
        }
        assert decided == {
            "in": "included",
            "out": "excluded",
            "both": "included",
            "other": "rule 1",
        }


class TestEvolve:
    def test_what_did_not_change_is_not_compiled_again(self) -> None:
        first = Ruleset([segment("a", [IS_ONE]), segment("b", [clause("in", 2)])], version=1)
        second = first.evolve(
            [segment("a", [IS_ONE]), segment("b", [clause("in", 3)], version=2)], version=2
        )
        old, new = first.segment("a"), second.segment("a")
        assert old is not None
        assert new is not None
        assert new.rules is old.rules
        assert second.version == 2
        assert second.match({"a": 2}, now=0) == set()
        assert second.match({"a": 3}, now=0) == {"b"}
        assert first.match({"a": 2}, now=0) == {"b"}

    def test_a_version_alone_is_not_trusted(self) -> None:
        first = Ruleset([segment("a", [clause("in", 1)])])
        assert first.evolve([segment("a", [clause("in", 2)])], version=2).match(
            {"a": 2}, now=0
        ) == {"a"}

    def test_members_are_those_of_the_new_definition(self) -> None:
        first = Ruleset([SegmentDefinition(key="a", included={"u1": None}, version=1)])
        second = first.evolve(
            [SegmentDefinition(key="a", included={"u2": None}, version=1)], version=2
        )
        assert second.match({"key": "u1"}, now=0) == set()
        assert second.matches("a", {"key": "u2"}, now=0)

    def test_a_cycle_that_was_mended_matches_again(self) -> None:
        one, two = segment("a", [in_segments("b")]), segment("b", [in_segments("a")])
        broken = Ruleset([one, two])
        mended = broken.evolve([one, segment("b", [IS_ONE], version=2)], version=2)
        assert mended.match({"a": 1}, now=0) == {"a", "b"}
        assert not mended.problems
        broken_again = mended.evolve([one, two], version=3)
        assert broken_again.match({"a": 1}, now=0) == set()
        assert set(broken_again.problems) == {"a", "b"}
