"""Copies, freezing, the archive, tags, owners and the filters of the list, over REST."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from featureflags.models import HistoryEntry, Segment, SegmentMember
from tests.conftest import FlagFile
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from tests.services.flag_json import boolean_flag, segment_rule
from tests.users.api.conftest import Caller
from users.models import User

pytestmark = pytest.mark.django_db

URL = "/api/v1/segments/"
PRO = [rule(clause("custom_plan", "in", "pro"))]


@pytest.fixture(autouse=True)
def segments(flag_file: FlagFile) -> None:
    Segment.objects.all().delete()
    SegmentFactory.create(key="paying", rules=PRO)
    User.objects.bulk_create(User(email=f"crowd{n}@example.com") for n in range(30))
    UserFactory.create(email="pro@example.com", metadata={"plan": "pro"})
    flag_file(boolean_flag("new-checkout", rules=[segment_rule("used")]))


@pytest.fixture
def user() -> User:
    made: User = UserFactory.create(superuser=True)
    return made


@pytest.fixture
def root(by_session: Caller, user: User) -> APIClient:
    return by_session(user)


def keys(client: APIClient, **query: str) -> list[str]:
    response = client.get(URL, query)
    assert response.status_code == 200, response.content
    return [item["key"] for item in response.json()["results"]]


def test_tags_owner_and_archive_are_fields(root: APIClient, user: User) -> None:
    sent = {"tags": ["Beta"], "owner": str(user.pk)}
    body = root.patch(f"{URL}paying/", sent, format="json").json()
    assert (body["tags"], body["owner"], body["is_archived"]) == (["beta"], str(user.pk), False)
    body = root.patch(f"{URL}paying/", {"is_archived": True}, format="json").json()
    assert (body["is_archived"], body["is_active"]) == (True, False)
    # What was read is accepted as it is.
    assert root.put(f"{URL}paying/", body, format="json").status_code == 200
    wrong = root.patch(f"{URL}paying/", {"is_active": True}, format="json")
    assert wrong.status_code == 400
    assert "is_active" in wrong.json()["errors"]
    assert root.patch(f"{URL}paying/", {"tags": ["ü"]}, format="json").status_code == 400


def test_one_that_a_flag_uses_is_not_archived(root: APIClient) -> None:
    SegmentFactory.create(key="used")
    refused = root.patch(f"{URL}used/", {"is_archived": True}, format="json")
    assert refused.status_code == 400
    assert "new-checkout" in refused.content.decode()
    assert not Segment.objects.get(key="used").is_archived


def test_the_list_is_narrowed_down(root: APIClient, user: User) -> None:
    SegmentFactory.create(key="used", tags=["beta"], owner=user)
    SegmentFactory.create(key="old", is_active=False, is_archived=True)
    assert keys(root) == ["paying", "used"]
    assert keys(root, is_archived="true") == ["old"]
    assert keys(root, is_archived="false") == ["paying", "used"]
    assert root.get(f"{URL}old/").status_code == 200
    assert keys(root, tag="Beta") == ["used"]
    assert keys(root, owner="me") == keys(root, owner=str(user.pk)) == ["used"]
    assert keys(root, unused="true") == ["paying"]
    assert keys(root, unused="false") == ["used"]
    since = timezone.now() - datetime.timedelta(days=2)
    HistoryEntry.objects.filter(segment_key="used").forget(at=since - datetime.timedelta(days=1))
    assert keys(root, changed_since=since.isoformat()) == ["paying"]
    assert root.get(URL, {"owner": "nobody"}).status_code == 400


def test_a_copy(root: APIClient, user: User) -> None:
    SegmentMemberFactory.create(segment=Segment.objects.get(key="paying"))
    sent = {"key": "payers", "name": "Payers", "members": True, "confirm": True}
    made = root.post(f"{URL}paying/copy/", sent, format="json")
    assert made.status_code == 201
    assert (made.json()["rules"], made.json()["owner"]) == (PRO, str(user.pk))
    assert SegmentMember.objects.filter(segment__key="payers").count() == 1
    assert root.post(f"{URL}paying/copy/", sent, format="json").status_code == 400
    assert root.post(f"{URL}nothing/copy/", sent, format="json").status_code == 404


def test_a_segment_becomes_a_list(root: APIClient) -> None:
    frozen = root.post(f"{URL}paying/freeze/", {"note": "The end"}, format="json")
    assert (frozen.status_code, frozen.json()["rules"]) == (200, [])
    assert SegmentMember.objects.filter(segment__key="paying").count() == 1
    assert HistoryEntry.objects.latest("pk").note == "The end"
    assert root.post(f"{URL}paying/freeze/", {}, format="json").status_code == 400


def test_what_a_write_would_do_is_said_and_nothing_written(root: APIClient, user: User) -> None:
    SegmentFactory.create(key="used", rules=[])
    body = root.post(f"{URL}used/examine/", {"rules": PRO}, format="json").json()
    assert (body["entering"]["at_least"], body["reasons"], body["needs_key"]) == (
        *(1, ["flags"]),
        False,
    )
    assert body["effects"]["flags"][0]["changes"] == [
        {"before": "false", "after": "true", "count": 1}
    ]
    assert Segment.objects.get(key="used").rules == []
    # Its token confirms the write.
    sent = {"rules": PRO, "confirm": body["confirm"]}
    assert root.patch(f"{URL}used/", sent, format="json").status_code == 200
    body = root.post(f"{URL}used/examine/", {"is_active": False}, format="json").json()
    assert (body["needs_key"], body["confirm"]) == (True, None)
    new = root.post(f"{URL}new/examine/", {"name": "New", "rules": PRO}, format="json").json()
    assert new["entering"]["at_least"] == 1
    assert not Segment.objects.filter(key="new").exists()
    # The version that was read may be sent along; the write heeds it.
    old = root.post(f"{URL}used/examine/", {"name": "X", "version": 1}, format="json")
    assert old.json()["changes"] == ["Name changed from “Used” to “X”"]


def test_a_refusal_says_what_users_get_before_and_after(root: APIClient) -> None:
    SegmentFactory.create(key="used", rules=[])
    refused = root.patch(f"{URL}used/", {"rules": PRO}, format="json")
    assert refused.status_code == 409
    effects = refused.json()["effects"]
    assert (effects["asked"], effects["all"]) == (1, True)
    assert effects["flags"][0]["flag"] == "new-checkout"


def test_how_segments_overlap(root: APIClient) -> None:
    SegmentFactory.create(key="used", rules=PRO)
    body = root.get(f"{URL}paying/overlap/", {"other": "used"}).json()
    parts = {(*part["within"], "not", *part["outside"]): part["count"] for part in body["parts"]}
    assert parts["paying", "used", "not"] == 1
    assert parts["paying", "not", "used"] == 0
    assert sum(parts.values()) == body["rows"] == User.objects.count()
    assert root.get(f"{URL}paying/overlap/").status_code == 400
    assert root.get(f"{URL}paying/overlap/", {"other": "zzz"}).status_code == 400
    assert root.get(f"{URL}zzz/overlap/", {"other": "used"}).status_code == 404
