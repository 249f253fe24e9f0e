"""The segments that the migration creates, at their edges."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.utils import timezone

from featureflags.evaluation.resolve import resolve
from featureflags.models import Segment
from tests.factories import UserFactory, clause

pytestmark = pytest.mark.django_db

DAY = datetime.timedelta(days=1)
SECOND = datetime.timedelta(seconds=1)

BY_AGE = {"new_user", "recent_user", "established_user"}


def segments_of(**fields: Any) -> set[str]:
    return set(resolve(UserFactory.create(**fields)).segments)


def by_age(age: datetime.timedelta) -> set[str]:
    return segments_of(created_at=timezone.now() - age) & BY_AGE


@pytest.mark.parametrize(
    ("age", "segment"),
    [
        (-5 * DAY, "new_user"),
        (0 * DAY, "new_user"),
        (6 * DAY, "new_user"),
        (7 * DAY - SECOND, "new_user"),
        (7 * DAY, "recent_user"),
        (30 * DAY, "recent_user"),
        (31 * DAY - SECOND, "recent_user"),
        (31 * DAY, "established_user"),
        (400 * DAY, "established_user"),
    ],
)
def test_by_age_everybody_is_in_exactly_one(age: datetime.timedelta, segment: str) -> None:
    assert by_age(age) == {segment}


@pytest.mark.parametrize("role", ["admin", "user", "system"])
def test_by_role(role: str) -> None:
    assert segments_of(role=role) & {"admin", "user", "system"} == {role}


@pytest.mark.parametrize(
    ("email", "verified", "expected"),
    [
        ("ada@agpt.co", True, True),
        ("ADA@AGPT.CO", True, True),
        ("ada@agpt.co", False, False),
        ("ada@agpt.com", True, False),
        ("ada@notagpt.co", True, False),
        ("ada@agpt.co.evil.org", True, False),
        ("ada@mail.agpt.co", True, False),
    ],
)
def test_an_employee_has_a_verified_address_of_the_company(
    email: str, verified: bool, expected: bool
) -> None:
    assert ("employee" in segments_of(email=email, email_verified=verified)) is expected


def test_an_unverified_company_address_makes_no_employee() -> None:
    user = UserFactory.create(email="eve@evil.org", email_verified=True)
    user.email = "eve@agpt.co"
    user.save()
    assert "employee" not in resolve(user).segments


def test_all_of_them_can_be_edited_and_stay_valid() -> None:
    assert set(Segment.objects.values_list("key", flat=True)) == {
        "admin",
        "employee",
        "established_user",
        "new_user",
        "recent_user",
        "system",
        "user",
    }
    for segment in Segment.objects.all():
        segment.save()
    employee = Segment.objects.get(key="employee")
    employee.rules[0]["clauses"][0] = clause("email_domain", "in", "example.com")
    employee.save()
    assert "employee" in segments_of(email="ada@example.com")


def test_segments_are_sorted_and_unique() -> None:
    context = resolve(UserFactory.create(email="ada@agpt.co")).context
    assert context.get("segments") == ["employee", "established_user", "user"]
