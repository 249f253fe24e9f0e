"""Values at the edges of a database: the rules say the same in Python, SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from django.core.exceptions import ValidationError
from pytest_django.fixtures import Settings

from featureflags import checks
from featureflags.audience.sql.clauses import MOST_VALUES
from featureflags.contexts.attributes import attributes_of
from featureflags.models.validation import find_problems
from featureflags.segments.definitions import Clause, Rule, SegmentDefinition
from featureflags.segments.ruleset import Ruleset
from tests.factories import SegmentFactory, UserFactory, clause, rule
from users.models import User
from users.selectors import snapshot_of, snapshots_by_key

pytestmark = pytest.mark.django_db(transaction=True)

SMALLEST = -(2**63)


def definition(*values: Any, attribute: str = "custom_x") -> SegmentDefinition:
    found = Clause(attribute=attribute, op="in", values=values)
    return SegmentDefinition(key="odd", rules=(Rule(id="1", clauses=(found,)),))


def in_python(user: User, wanted: SegmentDefinition) -> bool:
    return bool(Ruleset([wanted]).match(attributes_of(snapshot_of(user), 0), now=0))


@pytest.mark.parametrize(
    ("stored", "sought"),
    [
        (SMALLEST, SMALLEST),
        (SMALLEST - 1, SMALLEST),
        (SMALLEST - 1025, SMALLEST),
        (2**63, 2**63 - 1),
        (2**63 - 1, 2**63 - 1),
        (5e-324, 5e-324),
        (1e-310, 1.0000000000000023e-310),
        (2.2250738585072014e-308, 2.225073858507202e-308),
        (1.5e-300, 1.5e-300),
        (0.1, 0.1),
        (1e23, 1e23),
        (1e23, 10**23),
        (0, 5e-324),
    ],
)
def test_numbers(stored: float, sought: float) -> None:
    user = UserFactory.create(metadata={"x": stored, "list": [stored]})
    for name in ("custom_x", "custom_list"):
        wanted = definition(sought, attribute=name)
        found = User.objects.in_segment(wanted).filter(pk=user.pk).exists()
        assert found is in_python(User.objects.get(pk=user.pk), wanted)


@pytest.mark.parametrize("number", [1e22, 1e23, -1.5e300, 1.7976931348623157e308, 2.0**80])
def test_a_large_whole_float_is_the_same_before_and_after_it_is_stored(number: float) -> None:
    user = UserFactory.build(metadata={"x": number, "in": [{"y": number}]})
    before = snapshot_of(user)
    user.save()
    after = snapshots_by_key([str(user.pk)])[str(user.pk)]
    assert before.metadata == snapshot_of(user).metadata == after.metadata
    assert type(before.metadata["x"]) is type(after.metadata["x"]) is int
    User.objects.filter(pk=user.pk).update(metadata={"x": number})
    assert snapshots_by_key([str(user.pk)])[str(user.pk)].metadata["x"] == before.metadata["x"]


def test_more_values_than_a_query_takes() -> None:
    user = UserFactory.create(metadata={"x": "v7"})
    UserFactory.create(metadata={"x": "other"})
    wanted = definition(*(f"v{number}" for number in range(300_000)))
    assert list(User.objects.in_segment(wanted)) == [user]
    values = [f"v{number}" for number in range(MOST_VALUES + 1)]
    [problem] = find_problems("odd", [rule(clause("custom_x", "in", *values))], {})
    assert problem.code == "too_many_values"
    assert "50,001 values; 50,000 are allowed" in problem.message
    with pytest.raises(ValidationError, match="50,000 are allowed"):
        SegmentFactory.create(rules=[rule(clause("custom_x", "in", *values))])


def test_nul_in_a_name_is_refused_at_every_door() -> None:
    user = UserFactory.create(name="Ada")
    with pytest.raises(ValueError, match="NUL"):
        User.objects.filter(pk=user.pk).update(name="A\0da")
    user.name = "A\0da"
    with pytest.raises(ValueError, match="NUL"):
        user.save()
    with pytest.raises(ValueError, match="NUL"):
        User.objects.bulk_create([UserFactory.build(name="A\0da")])
    assert User.objects.get(pk=user.pk).name == "Ada"


@pytest.mark.parametrize("zone", ["Europe/Berlin", "+02:00"])
def test_e024_a_database_in_another_zone(settings: Settings, zone: str) -> None:
    assert checks.check_time_zones() == []
    with patch.dict(settings.DATABASES["default"], {"TIME_ZONE": zone}):
        (message,) = checks.check_time_zones()
    assert (message.id, zone in str(message.msg)) == ("featureflags.E024", True)
