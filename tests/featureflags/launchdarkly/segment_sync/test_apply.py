"""Plans made and carried out against the REST API on loopback, with segments in the database."""

from __future__ import annotations

from typing import Any

import pytest

from featureflags.launchdarkly.rest import errors
from featureflags.launchdarkly.rest.client import ManagementClient
from featureflags.launchdarkly.segment_sync.apply import (
    Choices,
    Status,
    StepResult,
    apply,
    make_plan,
    sync_one,
    wanted_segments,
)
from featureflags.launchdarkly.segment_sync.plan import Kind
from featureflags.models import Segment
from tests.factories import SegmentFactory
from tests.services.launchdarkly_api import LaunchDarklyApiServer
from tests.services.launchdarkly_segments import clause

pytestmark = pytest.mark.django_db

OURS = Choices(tag="guidon")


@pytest.fixture(autouse=True)
def one_segment(db: None) -> None:
    """Beta alone is active."""
    Segment.objects.all().delete()
    SegmentFactory.create(key="beta", name="Beta", description="Those who dare")
    SegmentFactory.create(key="asleep", is_active=False)


def run(rest: ManagementClient, choices: Choices = OURS) -> list[StepResult]:
    steps = make_plan(rest, wanted_segments(), tag=choices.tag)
    return list(apply(rest, steps, choices))


def became(outcomes: list[StepResult]) -> list[tuple[str, Kind, Status]]:
    return [(each.step.key, each.step.kind, each.status) for each in outcomes]


def rules(api: LaunchDarklyApiServer, key: str = "beta") -> list[list[dict[str, Any]]]:
    """The clauses of each rule, without LaunchDarkly's ids."""
    return [
        [{name: value for name, value in one.items() if name != "_id"} for one in each["clauses"]]
        for each in api.store.raw(key)["rules"]
    ]


RIGHT = [[clause("segments", "in", "beta")]]


def put_ours(api: LaunchDarklyApiServer, key: str = "beta", *clauses: Any, **fields: Any) -> None:
    api.store.put(key, *clauses, **{"name": "Beta", "tags": ["mine", "guidon"], **fields})


def test_active_segments_are_created_with_their_rule(
    api: LaunchDarklyApiServer, rest: ManagementClient
) -> None:
    assert became(run(rest)) == [("beta", Kind.CREATE, Status.DONE)]
    assert api.store.keys() == ["beta"]
    created = api.store.raw("beta")
    assert (created["name"], created["description"]) == ("Beta", "Those who dare")
    assert created["tags"] == ["guidon"]
    assert rules(api) == RIGHT


def test_the_second_run_changes_nothing(api: LaunchDarklyApiServer, rest: ManagementClient) -> None:
    run(rest)
    api.forget_requests()
    assert run(rest) == []
    assert [each.method for each in api.requests()] == ["GET"]


@pytest.mark.parametrize("status", [403, 500])
def test_a_run_that_ended_between_the_two_calls_is_finished_by_the_next(
    api: LaunchDarklyApiServer, rest: ManagementClient, status: int
) -> None:
    api.answer(status, method="PATCH", times=1)
    assert became(run(rest)) == [("beta", Kind.CREATE, Status.FAILED)]
    assert rules(api) == []
    assert became(run(rest)) == [("beta", Kind.FINISH, Status.DONE)]
    assert rules(api) == RIGHT


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_an_answer_that_was_lost_makes_nothing_twice(
    api: LaunchDarklyApiServer, rest: ManagementClient, method: str
) -> None:
    api.drop(method=method, times=1, after_work=True)
    assert became(run(rest)) == [("beta", Kind.CREATE, Status.FAILED)]
    run(rest)
    assert rules(api) == RIGHT
    assert run(rest) == []


def test_what_another_run_created_meanwhile_is_finished(
    api: LaunchDarklyApiServer, rest: ManagementClient
) -> None:
    steps = make_plan(rest, wanted_segments(), tag="guidon")
    put_ours(api)
    assert became(list(apply(rest, steps, OURS))) == [("beta", Kind.CREATE, Status.DONE)]
    assert rules(api) == RIGHT


def test_what_a_person_created_meanwhile_is_left(
    api: LaunchDarklyApiServer, rest: ManagementClient
) -> None:
    steps = make_plan(rest, wanted_segments(), tag="guidon")
    api.store.put("beta", clause("email", "in", "x"))
    (outcome,) = apply(rest, steps, OURS)
    assert outcome.status is Status.FAILED
    assert "somebody else's" in (outcome.error or "")
    assert api.changes() == [("POST", "beta", [])]


@pytest.mark.parametrize("choices", [OURS, Choices(tag="guidon", repair=True, delete_unused=True)])
def test_a_segment_without_our_tag_is_never_touched(
    api: LaunchDarklyApiServer, rest: ManagementClient, choices: Choices
) -> None:
    api.store.put("beta", clause("email", "in", "x"), tags=["other"])
    api.store.put("asleep", tags=[])
    assert became(run(rest, choices)) == [("beta", Kind.CONFLICT, Status.LEFT)]
    assert api.changes() == []


def test_a_new_name_is_followed(api: LaunchDarklyApiServer, rest: ManagementClient) -> None:
    put_ours(api, "beta", clause("segments", "in", "beta"), name="Old")
    assert became(run(rest)) == [("beta", Kind.RENAME, Status.DONE)]
    assert api.store.raw("beta")["name"] == "Beta"
    assert api.store.raw("beta")["tags"] == ["mine", "guidon"]


def test_drift_is_left_until_a_repair_is_asked_for(
    api: LaunchDarklyApiServer, rest: ManagementClient
) -> None:
    put_ours(api, "beta", clause("email", "endsWith", ".edu"), included=["ada"])
    assert became(run(rest)) == [("beta", Kind.DRIFT, Status.LEFT)]
    assert api.changes() == []
    repair = Choices(tag="guidon", repair=True)
    assert became(run(rest, repair)) == [("beta", Kind.DRIFT, Status.DONE)]
    assert rules(api) == RIGHT
    assert api.store.raw("beta")["included"] == []
    # In one patch, which holds as a whole: nobody ever sees the segment half repaired.
    assert api.changes() == [("PATCH", "beta", ["removeRule", "removeIncludedTargets", "addRule"])]
    assert run(rest) == []


def test_what_is_unused_is_only_deleted_on_demand(
    api: LaunchDarklyApiServer, rest: ManagementClient
) -> None:
    run(rest)
    put_ours(api, "asleep")
    put_ours(api, "gone", _flags=[{"key": "checkout", "name": "Checkout"}])
    left = [("asleep", Kind.UNUSED, Status.LEFT), ("gone", Kind.UNUSED, Status.LEFT)]
    assert became(run(rest)) == left
    delete = Choices(tag="guidon", delete_unused=True)
    assert became(run(rest, delete)) == [("asleep", Kind.UNUSED, Status.DONE), left[1]]
    assert api.store.keys() == ["beta", "gone"]


def test_a_delete_that_got_no_answer_is_done(
    api: LaunchDarklyApiServer, rest: ManagementClient
) -> None:
    run(rest)
    put_ours(api, "gone")
    api.drop(method="DELETE", times=1, after_work=True)
    delete = Choices(tag="guidon", delete_unused=True)
    assert became(run(rest, delete)) == [("gone", Kind.UNUSED, Status.DONE)]


def test_a_list_that_shows_less_is_completed_one_by_one(
    api: LaunchDarklyApiServer, rest: ManagementClient
) -> None:
    run(rest)
    api.store.left_out_of_lists |= {"rules", "included", "excluded"}
    assert run(rest) == []


@pytest.mark.parametrize(
    ("status", "after"), [(403, Status.DONE), (401, Status.NOT_TRIED), (503, Status.NOT_TRIED)]
)
def test_a_refusal_of_one_segment_stops_no_other_and_any_other_failure_ends_the_run(
    api: LaunchDarklyApiServer, rest: ManagementClient, status: int, after: Status
) -> None:
    SegmentFactory.create(key="gamma")
    api.answer(status, method="POST", times=1)
    outcomes = run(rest)
    assert [each.status for each in outcomes] == [Status.FAILED, after]
    assert str(status) in (outcomes[0].error or "")
    assert len(api.requests("POST")) == (2 if after is Status.DONE else 1)


def test_no_plan_without_an_answer(api: LaunchDarklyApiServer, rest: ManagementClient) -> None:
    api.answer(401)
    with pytest.raises(errors.AuthenticationError):
        make_plan(rest, wanted_segments(), tag="guidon")


def test_all_the_pages_are_compared(api: LaunchDarklyApiServer, rest: ManagementClient) -> None:
    for number in range(55):
        api.store.put(f"other-{number}")
    put_ours(api, "beta", clause("segments", "in", "beta"))
    assert run(rest) == []


def test_one_segment_costs_one_call_when_it_is_in_step(
    api: LaunchDarklyApiServer, rest: ManagementClient
) -> None:
    assert became(sync_one(rest, "beta", OURS)) == [("beta", Kind.CREATE, Status.DONE)]
    assert rules(api) == RIGHT
    api.forget_requests()
    assert sync_one(rest, "beta", OURS) == []
    assert [each.path for each in api.requests()] == ["/api/v2/segments/default/test/beta"]


@pytest.mark.parametrize("key", ["asleep", "nobody"])
def test_a_segment_that_is_not_active_makes_no_call(
    api: LaunchDarklyApiServer, rest: ManagementClient, key: str
) -> None:
    assert sync_one(rest, key, OURS) == []
    assert api.requests() == []
