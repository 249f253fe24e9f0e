"""Rules that mislead: each as LaunchDarkly's own evaluator answers it, and as it is named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from featureflags.inspection.misleading_rules import find_traps
from tests.featureflags.inspection.building import data, on
from tests.featureflags.segments.sdk import Sdk
from tests.services.flag_json import boolean_flag, clause, rollout, rule, segment, segment_rule

NEW_USER: dict[str, Any] = {
    "kind": "user",
    "key": "ada",
    "segments": ["new_user"],
    "segment": {"new_user": True},
}
STRANGER: dict[str, Any] = {"kind": "user", "key": "eve", "segments": [], "segment": {}}


@pytest.fixture(scope="module")
def sdk() -> Iterator[Sdk]:
    oracle = Sdk()
    yield oracle
    oracle.close()


def traps(*flags: dict[str, Any], segments: tuple[dict[str, Any], ...] = ()) -> list[str]:
    found = find_traps(
        data(*flags, segments_=segments),
        is_indivisible=lambda name: name in {"segments", "segment", "is_staff"},
        is_withheld=lambda name: name == "custom_bio",
        may_be_missing=lambda name: name in {"anonymous_key", "custom_plan"},
    )
    return [f"{trap.flag} {trap.words}" for trap in found]


def sharing(by: str, *rules: dict[str, Any]) -> dict[str, Any]:
    return boolean_flag("beta", rules=rules, fallthrough=rollout(25_000, 75_000, bucket_by=by))


def test_a_part_of_a_segment_s_key(sdk: Sdk) -> None:
    loose = on(clause("segments", "contains", "user"))
    assert sdk.detail(loose, [], NEW_USER).value is True
    assert traps(loose) == [
        'beta matches every segment with such a key: segments contains "user",'
        " in rule 1, condition 1"
    ]


def test_nobody_is_outside_of_a_path(sdk: Sdk) -> None:
    outside = on(clause("role", "in", "x"), clause("/segment/new_user", "in", True, negate=True))
    alone = on(clause("/segment/new_user", "in", True, negate=True))
    assert [sdk.detail(alone, [], who).value for who in (NEW_USER, STRANGER)] == [False, False]
    assert traps(outside) == [
        "beta matches nobody, since only members have this attribute: /segment/new_user is not"
        " true, in rule 1, condition 2"
    ]


@pytest.mark.parametrize("by", ["segments", "/segment/new_user", "is_staff"])
def test_a_rollout_by_an_attribute_that_cannot_be_hashed(sdk: Sdk, by: str) -> None:
    flag = sharing(by)
    people = [{**NEW_USER, "key": f"user-{n}", "is_staff": False} for n in range(50)]
    assert {sdk.detail(flag, [], one).value for one in people} == {True}
    assert traps(flag) == [
        f"beta gives everybody the first variation, since LaunchDarkly cannot hash {by}:"
        f" 25 % true, 75 % false, by {by}, in the default rule"
    ]


def test_a_rollout_in_a_rule_by_its_name() -> None:
    shared = {**rule(rule_id="r"), "rollout": rollout(1, 99_999, bucket_by="segments")}
    del shared["variation"]
    (found,) = traps(sharing("key", {**shared, "description": "Some"}))
    assert found.endswith("in rule 1 (Some)")


def test_an_attribute_that_is_never_sent() -> None:
    (found,) = traps(on(clause("custom_bio", "contains", "x")))
    assert found.startswith(
        "beta matches nobody, since this attribute is never sent to LaunchDarkly:"
    )


def test_launchdarkly_segments_are_reported_once_with_the_first_flag_that_uses_them() -> None:
    deep = segment("deep", rules=[[clause("segments", "contains", "user")]])
    outer = segment("outer", rules=[[clause("", "segmentMatch", "deep")]])
    unused = segment("unused", rules=[[clause("segments", "contains", "user")]])
    flags = [on(clause("", "segmentMatch", "outer"), key=key) for key in ("a", "b")]
    (found,) = traps(*flags, segments=(deep, outer, unused))
    assert found.startswith("a matches every segment")
    assert found.endswith("in rule 1, condition 1 of LaunchDarkly's segment “deep”")


def test_a_clear_rule_is_not_misleading() -> None:
    fine = boolean_flag(
        "fine",
        rules=[
            segment_rule("new_user", negate=True),
            rule(clause("/segment/new_user", "in", True)),
            rule(clause("email", "contains", "user"), clause("role", "in", "x", negate=True)),
            {**rule(), "clauses": [{**clause("segments", "contains", "x"), "contextKind": "org"}]},
        ],
        fallthrough=rollout(25_000, 75_000),
    )
    assert traps(fine) == []


@pytest.mark.parametrize("by", ["anonymous_key", "custom_plan", "custom_bio"])
def test_a_rollout_by_what_some_users_lack(sdk: Sdk, by: str) -> None:
    flag = sharing(by)
    people = [{**STRANGER, "key": f"user-{number}"} for number in range(40)]
    assert {sdk.detail(flag, [], who).value for who in people} == {True}, "the first variation"
    [words] = traps(flag)
    assert words.startswith(f"beta gives everybody who lacks {by} the first variation")
    assert words.endswith("Bucket by key")
    assert traps(sharing("key")) == []
