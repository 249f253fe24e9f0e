"""Segments of another kind, and their members by key, in the REST API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from rest_framework.test import APIClient

from featureflags.kinds import Kind, Text
from featureflags.kinds.compiled import CompiledKind
from featureflags.models import Segment, SegmentMember
from tests.customers.models import Company, Device
from tests.customers.organizations import ORGANIZATION, declared_beside_users
from tests.factories import SegmentFactory, UserFactory, clause, rule

SEGMENTS = "/api/v1/segments/"
MEMBERS = "/api/v1/segments/large/members/"
LARGE = {
    "key": "large",
    "kind": ORGANIZATION,
    "name": "Large",
    "rules": [rule(clause("seats", "greaterThan", 50))],
}


@pytest.fixture
def acme(organizations: CompiledKind, db: None) -> Company:
    return Company.objects.create(name="Acme", seats=51)


@pytest.fixture
def api(db: None) -> APIClient:
    client = APIClient()
    client.force_authenticate(UserFactory.create(superuser=True))
    return client


def sent(answer: Any, status: int = 200) -> Any:
    assert answer.status_code == status, answer.content
    return answer.json() if answer.content else None


def test_a_segment_is_created_with_its_kind_and_keeps_it(api: APIClient, acme: Company) -> None:
    created = sent(api.post(SEGMENTS, {**LARGE, "confirm": True}, format="json"), 201)
    assert created["kind"] == ORGANIZATION
    answer = api.patch(f"{SEGMENTS}large/", {"kind": "user"}, format="json")
    assert "kind cannot change" in str(sent(answer, 400))
    answer = api.post(SEGMENTS, {**LARGE, "key": "odd", "kind": "device"}, format="json")
    assert "The kinds are: user, organization" in str(sent(answer, 400))
    unknown = {**LARGE, "key": "odd", "kind": "user"}
    assert "seats" in str(sent(api.post(SEGMENTS, unknown, format="json"), 400))
    SegmentFactory.create(key="people")
    listed = sent(api.get(SEGMENTS, {"kind": ORGANIZATION}))
    assert [each["key"] for each in listed["results"]] == ["large"]
    assert Segment.objects.get(key="people").kind == "user"


def test_members_are_keys(api: APIClient, acme: Company) -> None:
    small = Company.objects.create(name="Small", seats=1)
    SegmentFactory.create(**LARGE)
    member = {"key": str(small.pk), "kind": "include", "reason": "Pilot", "confirm": True}
    created = sent(api.post(MEMBERS, member, format="json"), 201)
    assert (created["key"], created["user"]) == (str(small.pk), None)
    one = f"{MEMBERS}{small.pk}/"
    assert sent(api.get(one))["reason"] == "Pilot"
    changed = sent(api.patch(one, {"kind": "exclude", "confirm": True}, format="json"))
    assert changed["kind"] == "exclude"
    sent(api.patch(one, {"key": str(acme.pk)}, format="json"), 400)
    sent(api.delete(one, {"confirm": True}, format="json"), 204)
    assert not SegmentMember.objects.exists()
    sent(api.get(one), 404)
    sent(api.get(f"{MEMBERS}nobody/"), 404)


def test_what_no_member_can_be(api: APIClient, acme: Company) -> None:
    SegmentFactory.create(**LARGE)
    ada = UserFactory.create()
    person = {"user": str(ada.pk), "kind": "include"}
    assert "key" in sent(api.post(MEMBERS, person, format="json"), 400)["errors"]
    gone = {"key": "999", "kind": "include"}
    assert "no organization" in str(sent(api.post(MEMBERS, gone, format="json"), 400))
    SegmentFactory.create(key="people")
    of_users = "/api/v1/segments/people/members/"
    company = {"key": str(acme.pk), "kind": "include"}
    assert "are users" in str(sent(api.post(of_users, company, format="json"), 400))


def test_a_refusal_shows_the_rows_of_the_kind(api: APIClient, acme: Company, settings: Any) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "CONFIRM_USERS": 0, "CONFIRM_PERCENT": 0}
    refused = sent(api.post(SEGMENTS, LARGE, format="json"), 409)
    assert refused["entering"]["sample"] == [{"key": str(acme.pk), "name": "Acme"}]


class DeviceKind(Kind):
    name = "device"
    model = Device

    label_ = Text("label")


@pytest.fixture
def devices(db: None) -> Iterator[CompiledKind]:
    with declared_beside_users(DeviceKind) as (found,):
        yield found


SERIALS = ("A/1", "x/../y", "/", "a/flags", "flags", "bulk", "50%", "a?b#c", "Ж 1", "line\nbreak")


@pytest.mark.parametrize("serial", SERIALS)
def test_any_text_may_be_a_key_in_an_address(
    api: APIClient, devices: CompiledKind, serial: str
) -> None:
    Device.objects.create(serial=serial, label="Beamer")
    Device.objects.create(serial="a", label="Another")
    rules = [rule(clause("label", "in", "Beamer"))]
    SegmentFactory.create(key="beamers", kind="device", rules=rules)
    sent_as = quote(serial, safe="")
    seen = sent(api.get(f"/api/v1/contexts/device/{sent_as}/"))
    assert (seen["key"], seen["segments"]) == (serial, ["beamers"])
    assert sent(api.get(f"/api/v1/context-flags/device/{sent_as}/"))["results"] is not None
    found = sent(api.get(f"/api/v1/context-segments/device/{sent_as}/"))
    assert [each["verdict"] for each in found["results"]] == [True]
    members = "/api/v1/segments/beamers/members/"
    member = {"key": serial, "kind": "include", "confirm": True}
    assert sent(api.post(members, member, format="json"), 201)["key"] == serial
    one = f"{members}{sent_as}/"
    assert sent(api.get(one))["key"] == serial
    sent(api.patch(one, {"reason": "Pilot", "confirm": True}, format="json"))
    assert SegmentMember.objects.get().reason == "Pilot"
    sent(api.delete(one, {"confirm": True}, format="json"), 204)


def test_a_key_with_blanks_around_it_stays_as_it_is(api: APIClient, devices: CompiledKind) -> None:
    for serial in (" a ", "a"):
        Device.objects.create(serial=serial)
    SegmentFactory.create(key="beamers", kind="device", rules=[])
    member = {"key": " a ", "kind": "include", "confirm": True}
    created = sent(api.post("/api/v1/segments/beamers/members/", member, format="json"), 201)
    assert created["key"] == " a "
