"""Which flags ask for an attribute, in rules, in rollouts and through LaunchDarkly's segments."""

from __future__ import annotations

from featureflags.inspection.flags_using_attribute import flags_by_attribute
from tests.featureflags.inspection.building import data, on
from tests.services.flag_json import boolean_flag, clause, rollout, rule, segment


def test_rules_paths_rollouts_and_launchdarkly_segments() -> None:
    inner = segment("inner", rules=[[clause("custom_iban", "in", "x")]])
    outer = segment("outer", rules=[[clause("", "segmentMatch", "inner")]])
    found = flags_by_attribute(
        data(
            on(clause("/custom_address/city", "in", "Ulm"), key="city"),
            on(clause("", "segmentMatch", "outer"), key="bank"),
            boolean_flag("share", fallthrough=rollout(50_000, 50_000, bucket_by="custom_team")),
            boolean_flag("off", rules=[rule(clause("custom_iban", "in", "x"))], on=False),
            segments_=(inner, outer),
        )
    )
    assert found == {
        "custom_address": ("city",),
        "custom_iban": ("bank", "off"),
        "custom_team": ("share",),
    }


def test_another_kind_s_attribute_is_not_the_user_s() -> None:
    theirs = clause("custom_plan", "in", "pro") | {"contextKind": "organization"}
    assert flags_by_attribute(data(on(theirs))) == {}
