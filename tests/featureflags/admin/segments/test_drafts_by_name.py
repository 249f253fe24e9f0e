"""The member by name who is typed beside the rules counts in the numbers of a draft."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from featureflags.models import Segment
from tests.factories import SegmentFactory, UserFactory, clause, rule
from users.models import User

pytestmark = pytest.mark.django_db

PRO = [rule(clause("custom_plan", "in", "pro"))]


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(UserFactory.create(superuser=True, name="Ada"))
    return client


@pytest.fixture
def paying() -> Segment:
    UserFactory.create(email="pro@example.com", name="Pia Pro", metadata={"plan": "pro"})
    UserFactory.create(email="team@example.com", name="Tom Team", metadata={"plan": "team"})
    segment: Segment = SegmentFactory.create(key="paying", name="Paying", rules=PRO)
    return segment


def kept(client: Client, rules: Any, **fields: Any) -> str:
    typed = {"name": "Paying", "description": "", "is_active": "on", "rules": json.dumps(rules)}
    address = f"{reverse('admin:featureflags_draft_keep')}?segment=paying"
    answer = client.post(address, {**typed, "_version": "1", **fields})
    assert answer.status_code == 302
    return answer.headers["Location"]


def test_the_member_by_name_counts_in_its_numbers(staff: Client, paying: Segment) -> None:
    tom = User.objects.get(email="team@example.com")
    typed_beside = {"by_name-user": str(tom.pk), "by_name-kind": "include"}
    address = kept(staff, PRO, **typed_beside)
    page = staff.get(address).content.decode()
    assert "+1 enter" in page
    assert "Included 1 user: \N{FIRST STRONG ISOLATE}team@example.com" in page or (
        "Included 1 user: team@example.com" in page
    )
    people = staff.get(f"{address}people/?show=entering").content.decode()
    assert "Tom Team" in people
    assert "they would enter" in staff.post(address, {"who": "Tom"}).content.decode()
    viewer = UserFactory.create(staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_segment"))
    other = Client()
    other.force_login(viewer)
    page = other.get(address).content.decode()
    assert "+1 enter" in page
    assert "team@example.com" not in page


def test_nobody_adds_a_member_by_a_draft_without_the_permission(paying: Segment) -> None:
    editing = UserFactory.create(staff=True)
    may = ("view_segment", "change_segment", "view_user")
    editing.user_permissions.set(Permission.objects.filter(codename__in=may))
    client = Client()
    client.force_login(editing)
    tom = User.objects.get(email="team@example.com")
    address = kept(client, PRO, **{"by_name-user": str(tom.pk), "by_name-kind": "include"})
    assert "+1 enter" not in client.get(address).content.decode()
