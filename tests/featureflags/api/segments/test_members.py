"""Members by name over REST."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from featureflags.evaluation.resolve import contexts_for
from featureflags.models import SegmentMember
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory
from tests.featureflags.api.segments.some import URL

pytestmark = pytest.mark.django_db


def test_members_are_added_shown_changed_and_removed(root: APIClient) -> None:
    SegmentFactory.create(key="paying")
    user = UserFactory.create()
    key = str(user.pk)
    until = timezone.now() + datetime.timedelta(days=1)
    body = {"user": key, "kind": "include", "reason": "VIP", "expires_at": until.isoformat()}
    made = root.post(f"{URL}paying/members/", body)
    assert made.status_code == 201, made.json()
    assert "paying" in contexts_for([key])[key].segments
    shown = root.get(f"{URL}paying/members/").json()["results"]
    assert [(item["user"], item["kind"], item["reason"]) for item in shown] == [
        (key, "include", "VIP")
    ]
    one = f"{URL}paying/members/{key}/"
    assert root.get(one).json() == shown[0]
    assert root.patch(one, {"kind": "exclude", "expires_at": None}).status_code == 200
    assert "paying" not in contexts_for([key])[key].segments
    assert root.get(f"{URL}paying/members/", {"kind": "include"}).json()["count"] == 0
    assert root.delete(one).status_code == 204
    assert not SegmentMember.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"user": "00000000-0000-4000-8000-000000000000"}, "user"),
        ({"user": "nobody"}, "user"),
        ({"user": None}, "user"),
        ({"kind": "maybe"}, "kind"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"reason": 1}, "reason"),
        ({"segment": 1}, "segment"),
    ],
)
def test_a_member_that_makes_no_sense_is_400(
    root: APIClient, change: dict[str, Any], field: str
) -> None:
    SegmentFactory.create(key="paying")
    body = {"user": str(UserFactory.create().pk), "kind": "include", **change}
    answer = root.post(f"{URL}paying/members/", body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_nobody_is_a_member_twice(root: APIClient) -> None:
    member = SegmentMemberFactory.create(segment=SegmentFactory.create(key="paying"))
    answer = root.post(f"{URL}paying/members/", {"user": str(member.user_id)})
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["non_field_errors"]


def test_a_membership_stays_with_its_user(root: APIClient) -> None:
    member = SegmentMemberFactory.create(segment=SegmentFactory.create(key="paying"))
    url = f"{URL}paying/members/{member.user_id}/"
    assert root.patch(url, {"user": str(UserFactory.create().pk)}).status_code == 400
    assert root.patch(url, {"user": str(member.user_id), "reason": "same"}).status_code == 200


def test_members_of_another_segment_are_not_there(root: APIClient) -> None:
    member = SegmentMemberFactory.create()
    SegmentFactory.create(key="paying")
    assert root.get(f"{URL}paying/members/").json()["count"] == 0
    assert root.get(f"{URL}paying/members/{member.user_id}/").status_code == 404
    assert root.get(f"{URL}no-such/members/").status_code == 404
    body = {"user": str(member.user_id)}
    assert root.post(f"{URL}no-such/members/", body).status_code == 404
