"""`segment_members`."""

from __future__ import annotations

import csv

import pytest

from tests.factories import SegmentFactory, UserFactory, clause, rule
from tests.featureflags.management.conftest import Call
from users.models import User


@pytest.fixture
def three_members(db: None) -> list[User]:
    UserFactory.create(email="z@example.com", metadata={"plan": "free"})
    SegmentFactory.create(key="paying", rules=[rule(clause("custom_plan", "in", "pro"))])
    names = ("a", "b", "c")
    return [
        UserFactory.create(email=f"{name}@example.com", name='Ann, "A"', metadata={"plan": "pro"})
        for name in names
    ]


def test_members_are_listed_by_address(call: Call, three_members: list[User]) -> None:
    expected = [f"{user.pk}  {user.email}" for user in three_members]
    assert call("segment_members", "paying").out.splitlines() == expected
    assert call("segment_members", "paying", "--limit", "2").out.splitlines() == expected[:2]


def test_they_are_counted(call: Call, three_members: list[User]) -> None:
    assert call("segment_members", "paying", "--count").out == "3\n"
    assert call("segment_members", "paying", "--count", "--limit", "2").out == "2\n"


def test_csv_can_be_read_back(call: Call, three_members: list[User]) -> None:
    rows = list(csv.DictReader(call("segment_members", "paying", "--csv").out.splitlines()))
    assert [row["key"] for row in rows] == [str(user.pk) for user in three_members]
    assert rows[0]["name"] == 'Ann, "A"'


@pytest.mark.django_db
def test_an_unknown_segment_is_an_error(call: Call) -> None:
    assert call("segment_members", "nope").error == "There is no segment 'nope'."
    assert call("segment_members", "employee", "--limit", "0").error is not None
