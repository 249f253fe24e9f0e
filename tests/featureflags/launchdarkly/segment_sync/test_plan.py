"""What is to be done, from both sides as data: no server, no database."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from featureflags.launchdarkly.rest.models import RemoteSegment, SemanticPatch
from featureflags.launchdarkly.segment_sync.plan import Kind, Step, WantedSegment, plan
from tests.services.launchdarkly_segments import SegmentStore, clause

BETA = WantedSegment(key="beta", name="Beta")
RIGHT = clause("segments", "in", "beta")


def remote(*rules: dict[str, Any], key: str = "beta", **fields: Any) -> RemoteSegment:
    """A segment as LaunchDarkly shows it, ours unless `tags` says otherwise."""
    store = SegmentStore("test")
    store.put(key, **{"name": "Beta", "tags": ["guidon"], **fields})
    shown = {**store.show(key), "rules": [*rules]}
    return msgspec.convert(shown, RemoteSegment)


def rule(*clauses: dict[str, Any], id: str = "r1", **fields: Any) -> dict[str, Any]:  # noqa: A002
    return {"_id": id, "clauses": list(clauses), **fields}


def steps(*found: RemoteSegment, wanted: tuple[WantedSegment, ...] = (BETA,)) -> list[Step]:
    return plan(wanted, found, tag="guidon")


def patch(step: Step) -> list[dict[str, Any]]:
    """The instructions as they are sent."""
    body = SemanticPatch(environment_key="test", instructions=step.instructions, comment="")
    sent: list[dict[str, Any]] = json.loads(msgspec.json.encode(body))["instructions"]
    return sent


def kinds(found: list[Step]) -> list[Kind]:
    return [step.kind for step in found]


ADD_RULE = {
    "kind": "addRule",
    "description": "Decided by the application. Edit the segment there.",
    "clauses": [RIGHT],
}


def test_a_segment_that_is_missing_is_created() -> None:
    (step,) = steps()
    assert (step.kind, step.key) == (Kind.CREATE, "beta")
    assert step.sentence == "create “Beta”, whose rule is: segments in beta"


def test_steps_are_ordered_by_key() -> None:
    found = steps(remote(key="old"), wanted=(WantedSegment(key="z", name="Z"), BETA))
    assert [step.key for step in found] == ["beta", "old", "z"]


@pytest.mark.parametrize(
    "right",
    [
        rule(RIGHT),
        rule({**RIGHT, "attribute": "/segments"}),
        rule({name: value for name, value in RIGHT.items() if name != "contextKind"}),
        rule(RIGHT, weight=None, description="as somebody says"),
    ],
)
def test_a_segment_that_is_as_it_should_be_stays(right: dict[str, Any]) -> None:
    (step,) = steps(remote(right))
    assert (step.kind, step.instructions) == (Kind.CURRENT, ())


def test_a_segment_without_a_rule_is_finished() -> None:
    (step,) = steps(remote())
    assert step.kind is Kind.FINISH
    assert patch(step) == [ADD_RULE]


def test_a_rule_that_came_twice_is_removed_once() -> None:
    (step,) = steps(remote(rule(RIGHT, id="first"), rule(RIGHT, id="second")))
    assert step.kind is Kind.FINISH
    assert patch(step) == [{"kind": "removeRule", "ruleId": "second"}]


def test_a_new_name_is_followed() -> None:
    (step,) = steps(remote(rule(RIGHT), name="Old"))
    assert step.kind is Kind.RENAME
    assert step.sentence == "rename “Old” to “Beta”"
    assert patch(step) == [{"kind": "updateName", "value": "Beta"}]


def test_a_new_name_and_a_missing_rule_are_two_steps() -> None:
    assert kinds(steps(remote(name="Old"))) == [Kind.RENAME, Kind.FINISH]


@pytest.mark.parametrize("tags", [[], ["Guidon"], ["guidon2", "other"], None])
def test_a_segment_without_our_tag_is_left(tags: list[str] | None) -> None:
    (step,) = steps(remote(tags=tags, name="Old"))
    assert (step.kind, step.instructions) == (Kind.CONFLICT, ())


def test_a_segment_that_is_not_ours_is_nobodys_business() -> None:
    assert steps(remote(key="other", tags=[]), wanted=()) == []


def test_a_segment_of_ours_that_nothing_here_needs_is_unused() -> None:
    flags = [{"key": "b", "name": "B"}, {"key": "a", "name": "A"}]
    (step,) = steps(remote(rule(RIGHT), _flags=flags), wanted=())
    assert (step.kind, step.used_by) == (Kind.UNUSED, ("a", "b"))
    assert step.sentence.endswith("flags that target it: a, b")


WRONG_RULES: list[tuple[dict[str, Any], str]] = [
    (clause("segments", "contains", "beta"), 'segments contains "beta"'),
    (clause("segments", "in", "beta", negate=True), 'segments not in "beta"'),
    (clause("segments", "in", "beta", "gamma"), 'segments in "beta", "gamma"'),
    (clause("segments", "in", "Beta"), 'segments in "Beta"'),
    (clause("segments", "in"), "segments in "),
    (clause("email", "in", "beta"), 'email in "beta"'),
    (clause("segments", "in", 1, True, None, "x"), "segments in 1, true, null, …"),
    ({**RIGHT, "contextKind": "org"}, 'org segments in "beta"'),
]


@pytest.mark.parametrize(("wrong", "words"), WRONG_RULES)
def test_another_rule_is_drift(wrong: dict[str, Any], words: str) -> None:
    (step,) = steps(remote(rule(wrong, id="wrong")))
    assert step.kind is Kind.DRIFT
    assert step.sentence == (f"edited in LaunchDarkly: its own rule is gone, a rule “{words}”")
    assert patch(step) == [{"kind": "removeRule", "ruleId": "wrong"}, ADD_RULE]


def test_a_rule_beside_ours_is_drift() -> None:
    (step,) = steps(remote(rule(clause("email", "endsWith", ".edu"), id="edu"), rule(RIGHT)))
    assert step.kind is Kind.DRIFT
    assert step.sentence == 'edited in LaunchDarkly: a rule “email endsWith ".edu"”'
    assert patch(step) == [{"kind": "removeRule", "ruleId": "edu"}]


def test_a_condition_beside_ours_is_drift() -> None:
    (step,) = steps(remote(rule(RIGHT, clause("email", "endsWith", ".edu"))))
    assert step.kind is Kind.DRIFT


def test_a_share_of_the_segment_is_drift() -> None:
    (step,) = steps(remote(rule(RIGHT, weight=25_000)))
    assert "25 % of them" in step.sentence
    assert [one["kind"] for one in patch(step)] == ["removeRule", "addRule"]


def test_people_who_were_picked_by_hand_are_drift() -> None:
    targets = [
        {"contextKind": "org", "values": ["acme"]},
        {"contextKind": "user", "values": ["ada"]},
    ]
    (step,) = steps(
        remote(rule(RIGHT), included=["ada", "bob"], includedContexts=targets, excluded=["eve"])
    )
    assert step.sentence == (
        "edited in LaunchDarkly: 3 contexts included by hand, 1 context excluded by hand"
    )
    assert patch(step) == [
        {"kind": "removeIncludedTargets", "contextKind": "user", "values": ["ada", "bob"]},
        {"kind": "removeIncludedTargets", "contextKind": "org", "values": ["acme"]},
        {"kind": "removeExcludedTargets", "contextKind": "user", "values": ["eve"]},
    ]


def test_a_big_segment_cannot_be_repaired() -> None:
    (step,) = steps(remote(unbounded=True))
    assert (step.kind, step.instructions) == (Kind.DRIFT, ())


def test_drift_and_a_new_name_are_two_steps() -> None:
    found = steps(remote(rule(clause("email", "in", "x")), name="Old"))
    assert kinds(found) == [Kind.RENAME, Kind.DRIFT]


def test_a_segment_of_another_kind_has_a_rule_of_that_kind() -> None:
    large = WantedSegment(key="beta", name="Beta", kind="organization")
    right = {**RIGHT, "contextKind": "organization"}
    (created,) = steps(wanted=(large,))
    assert created.sentence == "create “Beta”, whose rule is: organization segments in beta"
    (finish,) = steps(remote(), wanted=(large,))
    assert patch(finish) == [{**ADD_RULE, "clauses": [right]}]
    (current,) = steps(remote(rule(right)), wanted=(large,))
    assert current.kind is Kind.CURRENT
    # A rule on users is somebody's edit, in either direction.
    (drift,) = steps(remote(rule(RIGHT)), wanted=(large,))
    assert drift.kind is Kind.DRIFT
    assert patch(drift)[-1] == {**ADD_RULE, "clauses": [right]}
    (other,) = steps(remote(rule(right)))
    assert other.kind is Kind.DRIFT
