"""What tests of the cache share: a standby of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest
from django.contrib.auth.models import Group

from featureflags.cache import compiled_rules
from featureflags.kinds.registry import user_kind
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from tests.featureflags.cache.unit_support import RoundTrips
from tests.services.standby import Standby
from users.models import User


@pytest.fixture(scope="session")
def standbys() -> Iterator[Callable[[], Standby]]:
    """Gives the one standby of these tests, which the first of them starts."""
    with ExitStack() as stack:
        yield cache(lambda: stack.enter_context(Standby()))


@pytest.fixture
def snapshot() -> Any:
    return user_kind().snapshot_of(
        UserFactory.create(metadata={"plan": "pro", "n": 2**60, "x": [1.5, None]})
    )


@pytest.fixture
def round_trips(monkeypatch: pytest.MonkeyPatch) -> RoundTrips:
    return RoundTrips(monkeypatch)


@pytest.fixture
def user() -> User:
    """Loaded as the login backend does it, in groups, included here and excluded there."""
    user = UserFactory.create()
    user.groups.set([Group.objects.create(name=name) for name in ("a", "b")])
    SegmentMemberFactory.create(segment=SegmentFactory.create(key="in"), user=user)
    everybody = [rule(clause("role", "in", "user"))]
    excluded = SegmentFactory.create(key="out", rules=everybody)
    SegmentMemberFactory.create(segment=excluded, user=user, kind="exclude")
    found: User | None = user_kind().find(str(user.pk))
    assert found is not None
    compiled_rules.current_ruleset()
    return found
