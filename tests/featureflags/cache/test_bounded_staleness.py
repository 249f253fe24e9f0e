"""How old the rules may be within a process, by the setting."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from featureflags.cache import compiled_rules
from featureflags.cache.unit_of_work import unit_of_work
from featureflags.evaluation.resolve import resolve
from tests.factories import SegmentFactory, clause, rule
from tests.featureflags.cache.probing import Probe
from tests.featureflags.cache.unit_support import Queries, RoundTrips
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


class TestBoundedStaleness:
    """Off by default. Who sets it saves the read, and may be as late as that in another process."""

    @pytest.fixture
    def late(self, settings: Settings) -> Iterator[None]:
        settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "STALE_SECONDS": 60.0}
        yield
        compiled_rules.forget_recent()

    @pytest.mark.usefixtures("late")
    def test_a_loaded_user_costs_nothing_meanwhile(
        self, user: User, round_trips: RoundTrips, django_assert_num_queries: Queries
    ) -> None:
        resolve(user)
        round_trips()
        with django_assert_num_queries(0):
            for _ in range(3):
                with unit_of_work():
                    resolve(user)
        assert round_trips() == 0

    @pytest.mark.usefixtures("late")
    def test_one_s_own_write_is_seen_at_once_another_s_later(self, user: User) -> None:
        everybody = [rule(clause("role", "in", "user"))]
        SegmentFactory.create(key="own", rules=everybody)
        assert "own" in resolve(user).segments
        SegmentFactory.create(key="late")
        resolve(user)
        with Probe() as other:
            other.do("edit_segment", "late", "Late", everybody)
        assert "late" not in resolve(user).segments
        compiled_rules.forget_recent()
        assert "late" in resolve(user).segments

    def test_without_it_another_s_write_is_seen_at_once(self, user: User) -> None:
        SegmentFactory.create(key="late")
        resolve(user)
        with Probe() as other:
            other.do("edit_segment", "late", "Late", [rule(clause("role", "in", "user"))])
        assert "late" in resolve(user).segments
