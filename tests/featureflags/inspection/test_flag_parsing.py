"""LaunchDarkly's flags and segments as values and in words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from featureflags.inspection.deciding_rule import decision
from featureflags.inspection.flag_parsing import flag_in_words, flags, segments
from featureflags.inspection.flags_using_segment import named_segments, uses_of
from featureflags.inspection.misleading_rules import find_traps
from tests.featureflags.inspection.building import data, on
from tests.featureflags.inspection.odd_json import ODD_ITEMS
from tests.services.flag_json import (
    boolean_flag,
    clause,
    flag,
    prerequisite,
    rollout,
    rule,
    segment,
    string_flag,
)


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
        (view,) = flags(data(mixed))
        assert view.type == expected

    def test_targeting_in_words_in_the_order_in_which_launchdarkly_asks(self) -> None:
        described = {**rule(clause("role", "in", "admin"), variation=1), "description": "Admins"}
        sharing = rule(clause("segments", "in", "employee"))
        sharing["rollout"] = {**rollout(25_000, 75_000), "bucketBy": "anonymous_key"}
        del sharing["variation"]
        colour = flag(
            "colour",
            ["red", "blue"],
            on=True,
            fallthrough=rollout(100_000, 0),
            off_variation=None,
            targets={1: ["a", "b"], 0: []},
            rules=[described, sharing],
            prerequisites=[prerequisite("gate", 1), prerequisite("gone")],
        )
        colour["contextTargets"] = [
            {"contextKind": "user", "variation": 1, "values": []},
            {"contextKind": "org", "variation": 0, "values": ["acme"]},
        ]
        view, _gate = flags(data(colour, boolean_flag("gate", on=False)))
        assert view.targeting == (
            "needs the flag “gate”, which is off, to serve false, else the default in the code",
            "needs the flag “gone”, which there is not, else the default in the code",
            '2 users by key → "blue"',
            '1 context of the kind org by key → "red"',
            'rule 1 (Admins): role is any of "admin" → "blue"',
            'rule 2: segments is any of "employee" → 25 % "red", 75 % "blue", by anonymous_key',
            'everybody else → 100 % "red", by key',
        )
        json.dumps(view.to_dict())
        assert "acme" not in json.dumps(view.to_dict())

    def test_an_experiment_and_a_variation_that_is_not_there(self) -> None:
        trial = {**rollout(50_000, 50_000), "kind": "experiment"}
        odd = boolean_flag("odd", fallthrough=trial, rules=[rule(variation=7)])
        (view,) = flags(data(odd))
        assert view.targeting == (
            "rule 1: everybody → the default in the code",
            "everybody else → an experiment: 50 % true, 50 % false, by key",
        )
        assert view.off.words == "false"

    def test_a_rule_of_a_segment_that_takes_a_part(self) -> None:
        half = segment("half", rules=[[clause("role", "in", "user")]])
        half["rules"][0]["weight"] = 50_000
        (view,) = segments(data(segments_=(half,)))
        assert view.rules[0].words == '50 % of those: role is any of "user"'

    def test_segments(self) -> None:
        raw = {
            **segment("s", included=["a", "b"], excluded=["c"]),
            "includedContexts": [{"contextKind": "org", "values": ["d"]}],
        }
        (found,) = segments(data(segments_=(raw,)))
        assert (found.included, found.excluded, found.unbounded) == (3, 1, False)


@given(ODD_ITEMS)
def test_json_of_another_shape_raises_nothing(raw: Any) -> None:
    odd = {"flags": raw, "segments": raw}
    json.dumps([each.to_dict() for each in flags(odd)])
    json.dumps([each.to_dict() for each in segments(odd)])
    uses_of("x", odd)
    named_segments(odd)
    find_traps(
        odd,
        is_indivisible=lambda _: True,
        is_withheld=lambda _: True,
        may_be_missing=lambda _: True,
    )
    for key, one in raw.items():
        decision(key, one, {"kind": "RULE_MATCH", "ruleIndex": 0, "ruleId": "x"})
