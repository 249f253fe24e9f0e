"""Every page beside Django's own requires permissions, also one that is added later."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from featureflags.admin.urls import PAGES
from featureflags.editing import change_to, examine, make_plan
from featureflags.models import HistoryEntry, PlannedChange, Segment
from tests.factories import SegmentFactory, UserFactory

FOR_ALL_STAFF = {"testing": 404, "session": 200}
"""What each member of staff may open. The first is 404 unless the setting TESTERS is on."""


def proposal(segment: Segment) -> PlannedChange:
    segment.name = "Proposed"
    return make_plan(examine(change_to(segment)), author=None, source="admin")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("pattern", "name"), [pytest.param(pattern, name, id=name) for pattern, _view, name in PAGES]
)
def test_staff_without_a_permission_are_refused(client: Client, pattern: str, name: str) -> None:
    segment, person = SegmentFactory.create(key="rich"), UserFactory.create()
    samples = {
        "segment": segment.key,
        "change": HistoryEntry.objects.filter(segment_key=segment.key).latest("pk").pk,
        "flag": "new-checkout",
        "key": person.pk,
        "kind": "user",
        "plan": proposal(segment).pk,
        "token": "anything",
        "name": "staging",
    }
    wanted = {each for each in samples if f":{each}>" in pattern}
    address = reverse(f"admin:featureflags_{name}", kwargs={each: samples[each] for each in wanted})
    client.force_login(UserFactory.create(is_staff=True))
    answer = client.get(address)
    if answer.status_code == 405:
        answer = client.post(address)
    assert answer.status_code == FOR_ALL_STAFF.get(name, 403)
