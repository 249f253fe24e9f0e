"""Proposals over REST: made by a write, approved by another, scheduled, refused, and an emergency."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from featureflags.models import HistoryEntry, PlannedChange, Segment
from tests.factories import SegmentMemberFactory, UserFactory, staff_with
from tests.featureflags.api.confirming.segment import MEMBERS, ONE, PRO, TEAM, URL
from tests.featureflags.api.using import use
from tests.users.api.conftest import Caller
from users.models import User

pytestmark = pytest.mark.django_db

LIST = "/api/v1/proposals/"


@pytest.fixture(autouse=True)
def approvals(settings: Settings) -> None:
    use(settings, APPROVE_LIVE_SEGMENTS=True)


@pytest.fixture
def ben(by_session: Caller) -> APIClient:
    return by_session(UserFactory.create(superuser=True, name="Ben"))


def rules() -> Any:
    return Segment.objects.get(key="paying").rules


def proposed(client: APIClient, **more: Any) -> dict[str, Any]:
    answer = client.patch(ONE, {"rules": TEAM, "note": "Teams pay", "propose": True, **more})
    assert answer.status_code == 202
    body: dict[str, Any] = answer.json()
    return body


def one(plan: dict[str, Any], step: str = "") -> str:
    return f"{LIST}{plan['id']}/" + (f"{step}/" if step else "")


def test_a_write_is_refused_until_it_is_proposed(
    root: APIClient, ben: APIClient, paying: Segment, actor: User
) -> None:
    refused = root.patch(ONE, {"rules": TEAM, "confirm": True})
    assert (refused.status_code, refused.json()["needs_approval"]) == (409, True)
    assert "propose" in refused.json()["detail"]
    plan = proposed(root)
    assert (plan["segment"], plan["state"], plan["who"]) == ("paying", "proposed", "Root")
    assert (plan["entering"], plan["leaving"], plan["due_at"]) == (3, 3, None)
    assert rules() == PRO
    asked = ben.post(one(plan, "approve"), {})
    assert asked.status_code == 409
    done = ben.post(one(plan, "approve"), {"confirm": asked.json()["confirm"]})
    assert (done.status_code, done.json()["state"]) == (200, "applied")
    assert rules() == TEAM
    entry = HistoryEntry.objects.latest("pk")
    assert (entry.actor, entry.source, entry.note) == (actor, "api", "Teams pay")
    (latest, *_older) = root.get(f"{ONE}history/").json()["results"]
    assert (latest["who"], latest["approved_by"], latest["is_emergency"]) == ("Root", "Ben", False)
    assert done.json()["history_entry"] == latest["id"]


def test_nobody_approves_their_own(root: APIClient, paying: Segment) -> None:
    plan = proposed(root)
    assert root.post(one(plan, "approve"), {"confirm": True}).status_code == 403
    assert rules() == PRO


def test_it_is_decided_once(root: APIClient, ben: APIClient, paying: Segment) -> None:
    plan = proposed(root)
    refused = ben.post(one(plan, "refuse"), {"text": "Too many"}).json()
    assert (refused["state"], refused["comments"][0]["text"]) == ("refused", "Too many")
    for step in ("approve", "refuse", "withdraw", "apply"):
        assert ben.post(one(plan, step), {}).status_code == 409, step
    assert rules() == PRO


def test_what_it_would_do_now_is_shown(root: APIClient, paying: Segment) -> None:
    plan = proposed(root)
    UserFactory.create(metadata={"plan": "team"})
    shown = root.get(one(plan)).json()
    assert (shown["entering"], shown["now"]["entering"]["at_least"]) == (3, 4)
    paying.rules = []
    paying.save()
    shown = root.get(one(plan)).json()
    assert shown["now"] is None
    assert "The same field was changed" in shown["not_possible"]


def test_a_comment_and_a_withdrawal(root: APIClient, paying: Segment) -> None:
    plan = proposed(root)
    said = root.post(one(plan, "comments"), {"text": "Sorry"}).json()
    assert [(each["who"], each["text"]) for each in said["comments"]] == [("Root", "Sorry")]
    assert root.post(one(plan, "withdraw"), {}).json()["state"] == "withdrawn"
    listed = root.get(LIST, {"state": "withdrawn", "segment": "paying"}).json()["results"]
    assert [each["id"] for each in listed] == [plan["id"]]
    assert root.get(LIST, {"state": "proposed"}).json()["results"] == []
    assert root.get(LIST, {"state": "nonsense"}).status_code == 400


@pytest.mark.parametrize("way", ["member", "bulk", "deletion", "restore", "creation"])
def test_every_way(root: APIClient, ben: APIClient, paying: Segment, way: str) -> None:
    member = SegmentMemberFactory.create(segment=paying)
    first = HistoryEntry.objects.filter(segment_key="paying").earliest("pk")
    listed = {"user": str(member.user_id), "kind": "exclude"}
    before = HistoryEntry.objects.count()
    if way == "creation":
        Segment.objects.filter(key="paying").delete()
        before = HistoryEntry.objects.count()
    answer = {
        "member": lambda: root.delete(f"{MEMBERS}{member.user_id}/?propose=true"),
        "bulk": lambda: root.post(
            f"{ONE}bulk-members/", {"change": "add", "members": [listed], "propose": True}
        ),
        "deletion": lambda: root.delete(f"{ONE}?propose=true&note=Gone"),
        "restore": lambda: root.post(f"{ONE}restore/", {"change": first.pk, "propose": True}),
        "creation": lambda: root.post(
            URL, {"key": "paying", "name": "Paying", "rules": TEAM, "propose": True}
        ),
    }[way]()
    assert answer.status_code == 202, answer.json()
    assert HistoryEntry.objects.count() == before
    done = ben.post(one(answer.json(), "approve"), {"confirm": "paying"})
    assert (done.status_code, done.json()["state"]) == (200, "applied"), done.json()
    assert HistoryEntry.objects.count() == before + 1


def test_at_an_instant(root: APIClient, paying: Segment, settings: Settings) -> None:
    use(settings, APPROVE_LIVE_SEGMENTS=False)
    past = {"rules": TEAM, "confirm": True, "due_at": "2020-01-01T00:00:00Z"}
    assert root.patch(ONE, past).status_code == 400
    at = (timezone.now() + datetime.timedelta(days=1)).isoformat()
    asked = root.patch(ONE, {"rules": TEAM, "due_at": at})
    assert asked.status_code == 409
    confirmed = {"rules": TEAM, "due_at": at, "confirm": asked.json()["confirm"]}
    plan = root.patch(ONE, confirmed)
    assert (plan.status_code, plan.json()["state"]) == (202, "scheduled")
    assert rules() == PRO
    made = root.post(one(plan.json(), "apply"), {}).json()
    assert (made["state"], rules()) == ("applied", TEAM)


@pytest.mark.parametrize(
    "due_at",
    [
        # Clocks go from 02:00 to 03:00, and from 03:00 back to 02:00.
        "2027-03-28T02:30:00",
        "2027-10-31T02:30:00",
        "2027-02-29T10:00:00Z",
        "9999-12-31T23:59:59Z",
        "99999-01-01T00:00:00Z",
        "tomorrow",
        1_900_000_000,
    ],
)
def test_an_instant_that_cannot_be_is_refused(
    root: APIClient, paying: Segment, settings: Settings, due_at: object
) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    answer = root.patch(ONE, {"rules": TEAM, "propose": True, "due_at": due_at})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["due_at"])
    assert not PlannedChange.objects.exists()


def test_a_time_without_a_zone_is_one_of_the_site(
    root: APIClient, paying: Segment, settings: Settings
) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    answer = root.patch(ONE, {"rules": TEAM, "propose": True, "due_at": "2027-07-01T10:00:00"})
    assert answer.status_code == 202
    due_at = PlannedChange.objects.get().due_at
    assert due_at == datetime.datetime(2027, 7, 1, 8, tzinfo=datetime.UTC)


def test_an_emergency(by_session: Caller, root: APIClient, paying: Segment) -> None:
    wanted = {"rules": TEAM, "emergency": True, "confirm": True}
    editor = by_session(staff_with("view_segment", "change_segment"))
    assert editor.patch(ONE, {**wanted, "note": "Down"}).status_code == 403
    assert root.patch(ONE, wanted).status_code == 400
    assert rules() == PRO
    assert root.patch(ONE, {**wanted, "note": "Down"}).status_code == 200
    assert HistoryEntry.objects.latest("pk").is_emergency


def test_a_repeated_request_proposes_once(root: APIClient, paying: Segment) -> None:
    wanted = {"rules": TEAM, "propose": True}
    answers = [root.patch(ONE, wanted, HTTP_IDEMPOTENCY_KEY="once") for _ in range(2)]
    assert [each.status_code for each in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert PlannedChange.objects.count() == 1
