"""What a deletion, and a step that takes nothing, is sent: no field is ignored."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from featureflags.models import HistoryEntry, PlannedChange, Segment, SegmentMember
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory
from tests.users.api.conftest import Caller

pytestmark = pytest.mark.django_db

ONE = "/api/v1/segments/beta/"


@pytest.fixture
def root(by_key: Caller) -> APIClient:
    SegmentMemberFactory.create(segment=SegmentFactory.create(key="beta"))
    return by_key(UserFactory.create(superuser=True))


@pytest.fixture
def member(root: APIClient) -> str:
    return f"{ONE}members/{SegmentMember.objects.get().user_id}/"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"confrim": "beta"}, "confrim"),
        ({"confirm": 5}, "confirm"),
        ({"confirm": "beta", "propose": "yes"}, "propose"),
        ({"confirm": "beta", "note": ["Why"]}, "note"),
        ({"confirm": "beta", "note": "x" * 1001}, "note"),
        ({"confirm": "beta", "due_at": "soon"}, "due_at"),
        ([], "non_field_errors"),
        ("beta", "non_field_errors"),
    ],
)
def test_what_is_not_known_is_refused(root: APIClient, member: str, body: Any, field: str) -> None:
    for path in (ONE, member):
        answer = root.delete(path, body, format="json")
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])
    assert Segment.objects.filter(key="beta").exists()
    assert SegmentMember.objects.count() == 1


def test_a_version_is_that_of_the_segment(root: APIClient, member: str) -> None:
    answer = root.delete(member, {"version": 1}, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["version"])
    assert root.patch(ONE, {"name": "New"}, format="json").status_code == 200
    old = root.delete(ONE, {"version": 1, "confirm": "beta"}, format="json")
    assert (old.status_code, old.json()["type"]) == (409, "urn:guidon:problem:changed-meanwhile")
    assert root.delete(ONE, {"version": 2, "confirm": "beta"}, format="json").status_code == 204


def test_true_confirms_as_a_parameter_too(root: APIClient, member: str) -> None:
    """As the schema says."""
    assert root.delete(f"{member}?confirm=true&note=true").status_code == 204
    assert HistoryEntry.objects.latest("pk").note == "true"
    answer = root.delete(f"{ONE}?propose=yes")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["propose"])
    assert root.delete(f"{ONE}?confirm=beta&propose=true").status_code == 202


@pytest.mark.parametrize("step", ["withdraw", "apply"])
def test_a_step_without_fields_takes_none(root: APIClient, step: str) -> None:
    sent = {"description": "Soon", "due_at": "2100-01-01T00:00:00Z", "confirm": True}
    assert root.patch(ONE, sent, format="json").status_code == 202
    plan = PlannedChange.objects.get()
    path = f"/api/v1/proposals/{plan.pk}/{step}/"
    answer = root.post(path, {"note": "Wrong"}, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["note"])
    plan.refresh_from_db()
    assert plan.is_open
    assert root.post(path).status_code == 200
