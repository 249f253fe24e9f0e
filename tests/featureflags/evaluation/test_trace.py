"""The way of a check through our modules stays a chain: `python -m tests.benchmarks trace` prints it."""

from __future__ import annotations

import pytest

from featureflags.models import Segment
from tests.benchmarks.traced import checks, flags
from tests.factories import SegmentFactory, UserFactory, clause, rule
from users.selectors import find_user

pytestmark = pytest.mark.django_db(transaction=True)

MOST_CHANGES = 26
MOST_ENTRIES = 3
MOST_MODULES = {
    "a check by key": 12,
    "a check of a loaded user": 15,  # how a loaded row becomes a snapshot
    "a check by request": 18,  # the user of the request, and the visitor that they were
    "a later check": 6,
}


def test_a_warm_check_goes_straight_on() -> None:
    Segment.objects.all().delete()
    SegmentFactory.create(key="employee", rules=[rule(clause("role", "in", "user"))])
    user = find_user(str(UserFactory.create().pk))
    assert user is not None
    with flags():
        found = checks(user)
    for name, way in found.items():
        told = "\n".join((name, *way.steps))
        assert way.modules <= MOST_MODULES[name], told
        assert way.changes <= MOST_CHANGES, told
        assert way.most_entries <= MOST_ENTRIES, told
        assert way.calls >= way.modules
    assert found.keys() == MOST_MODULES.keys()
