"""Memberships that begin at an instant: matched, foreseen, written and read back."""

from __future__ import annotations

import pytest

from featureflags.segments.definitions import InvalidDefinition, SegmentDefinition
from featureflags.segments.export import NotExportable, to_launchdarkly
from featureflags.segments.next_change import next_change
from featureflags.segments.parsing import parse_definition
from featureflags.segments.ruleset import Ruleset

NOW = 1_750_000_000_123_456
ADA = SegmentDefinition(key="beta", included={"ada": NOW + 20}, begins={"ada": NOW + 10})


@pytest.mark.parametrize(
    ("at", "inside"), [(0, False), (9, False), (10, True), (19, True), (20, False)]
)
def test_it_counts_from_the_very_instant_until_its_end(at: int, inside: bool) -> None:
    ruleset = Ruleset([ADA])
    attributes = {"key": "ada"}
    assert ruleset.matches("beta", attributes, now=NOW + at) is inside
    assert ("beta" in ruleset.match(attributes, now=NOW + at)) is inside


@pytest.mark.parametrize(("after", "then"), [(0, 10), (9, 10), (10, 20), (20, None)])
def test_the_next_change_is_the_beginning_and_then_the_end(after: int, then: int | None) -> None:
    expected = None if then is None else NOW + then
    assert next_change(Ruleset([ADA]), {"key": "ada"}, {}, now=NOW + after) == expected


def test_an_exclusion_that_has_not_begun_lets_the_rules_decide() -> None:
    definition = parse_definition(
        {
            "key": "beta",
            "excluded": ["ada"],
            "membersFrom": {"ada": "2030-01-01T00:00:00Z"},
            "rules": [{"clauses": [{"attribute": "key", "op": "in", "values": ["ada"]}]}],
        }
    )
    ruleset, begins = Ruleset([definition]), definition.begins["ada"]
    assert ruleset.matches("beta", {"key": "ada"}, now=begins - 1)
    assert not ruleset.matches("beta", {"key": "ada"}, now=begins)


def test_a_native_document_is_read_back() -> None:
    assert parse_definition(to_launchdarkly(ADA, native=True)) == ADA


def test_launchdarkly_cannot_express_it() -> None:
    lasting = SegmentDefinition(key="beta", included={"ada": None}, begins={"ada": NOW})
    with pytest.raises(NotExportable, match="begins"):
        to_launchdarkly(lasting)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"membersFrom": {"ada": "2030-01-01T00:00:00Z"}}, "is not a member"),
        ({"included": ["ada"], "membersFrom": {"ada": "soon"}}, "RFC 3339"),
        ({"included": ["ada"], "membersFrom": ["ada"]}, "must map"),
        (
            {
                "includedUntil": {"ada": "2030-01-01T00:00:00Z"},
                "membersFrom": {"ada": "2030-01-01T00:00:00Z"},
            },
            "ends before it begins",
        ),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidDefinition, match=words):
        parse_definition({"key": "beta", "rules": [], **fields})
