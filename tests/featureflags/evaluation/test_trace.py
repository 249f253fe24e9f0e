"""How many of our modules a journey passes: `python -m tests.benchmarks trace` prints the figures."""

from __future__ import annotations

import pytest
from django.db import connection

from featureflags.kinds.registry import user_kind
from featureflags.models import Segment
from tests.benchmarks.traced import Way, checks, flags, segment_saved, sizes_counted
from tests.factories import SegmentFactory, UserFactory, clause, rule

pytestmark = pytest.mark.django_db(transaction=True)

MOST_CHANGES = 23
MOST_ENTRIES = 3
MOST_MODULES = {
    "a check by key": 12,
    "a check of a loaded user": 13,  # how a loaded row becomes a snapshot
    "a check by request": 15,  # the user of the request, and the visitor that they were
    "a later check": 6,
}
MOST_OF_A_SAVE = {"postgresql": (70, 322), "sqlite": (71, 350)}
"""Modules, and changes of module, by database. On SQLite and files each statement and each write of the
cache takes a lock that may be waited for. Each transaction passes `core/uncached.py`, which closes what a refused one
leaves open."""


def test_a_warm_check_goes_straight_on() -> None:
    Segment.objects.all().delete()
    SegmentFactory.create(key="employee", rules=[rule(clause("role", "in", "user"))])
    user = user_kind().find(str(UserFactory.create().pk))
    assert user is not None
    with flags():
        found = checks(user)
    for name, way in found.items():
        steps = "\n".join((name, *way.steps))
        assert way.modules <= MOST_MODULES[name], steps
        assert way.changes <= MOST_CHANGES, steps
        assert way.most_entries <= MOST_ENTRIES, steps
        assert way.calls >= way.modules
    assert found.keys() == MOST_MODULES.keys()


def test_a_segment_saved_in_the_admin() -> None:
    Segment.objects.all().delete()
    SegmentFactory.create(key="employee", rules=[rule(clause("role", "in", "user"))])
    admin = UserFactory.create(is_staff=True, is_superuser=True)
    with flags():
        way = segment_saved(admin, "employee", name="Employees")
        counted = sizes_counted()
    assert Segment.objects.get().name == "Employees"
    steps = "\n".join(way.steps)
    modules, changes = MOST_OF_A_SAVE[connection.vendor]
    assert way.modules <= modules, steps
    assert way.changes <= changes, steps
    assert _parsed(way) == 1, steps
    assert "featureflags/tasks.py: count_changed_segments" not in way.steps
    assert "featureflags/tasks.py: count_changed_segments" in counted.steps


def _parsed(way: Way) -> int:
    return sum(
        step.startswith("featureflags/segments/parsing.py") and step.endswith(": _rules")
        for step in way.steps
    )
