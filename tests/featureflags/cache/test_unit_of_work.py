"""A unit of work: what it asks for once, for whom it keeps it, and when it ends."""

from __future__ import annotations

import asyncio
import datetime
import threading
import uuid

import pytest
from celery import shared_task
from django.db import connection
from django.test.utils import CaptureQueriesContext

from featureflags.cache import snapshot_store
from featureflags.cache.entries import name_of
from featureflags.cache.unit_of_work import UnitOfWork, current_unit, unit_of_work
from featureflags.contexts.building import bare_context
from featureflags.contexts.results import ContextSource
from featureflags.contexts.subject_context import SubjectContext
from featureflags.core.times import to_microseconds
from featureflags.evaluation import ais_enabled, is_enabled
from featureflags.evaluation.resolve import contexts_for, resolve
from tests.clock import Clock
from tests.factories import SegmentFactory, SegmentMemberFactory, UserFactory, clause, rule
from tests.featureflags.cache.unit_support import Queries, RoundTrips
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


class TestWhatACheckCosts:
    def test_a_loaded_user_costs_no_query_and_one_round_trip(
        self, user: User, round_trips: RoundTrips, django_assert_num_queries: Queries
    ) -> None:
        with django_assert_num_queries(0), unit_of_work():
            context = resolve(user)
            assert round_trips() == 1
            assert resolve(user) is context
            assert resolve(str(user.pk)) is context
            assert resolve(user.pk) is context
            assert round_trips() == 0
        assert context.context.get("groups") == ["a", "b"]
        assert "in" in context.segments
        assert "out" not in context.segments

    def test_by_id_costs_one_round_trip_with_the_version(
        self, user: User, round_trips: RoundTrips, django_assert_num_queries: Queries
    ) -> None:
        resolve(str(user.pk))
        round_trips()
        with django_assert_num_queries(0), unit_of_work():
            assert resolve(str(user.pk)).source is ContextSource.CACHE
            assert is_enabled("x", str(user.pk)) is False
            assert is_enabled("x", user) is False
        assert round_trips() == 1

    def test_a_batch_costs_one_round_trip_and_one_query_for_the_cold(
        self, user: User, round_trips: RoundTrips, django_assert_num_queries: Queries
    ) -> None:
        keys = [str(each.pk) for each in UserFactory.create_batch(30)]
        contexts_for(keys[:10])
        round_trips()
        with django_assert_num_queries(1), unit_of_work():
            sources = [context.source for context in contexts_for(keys).values()]
        assert round_trips() == 2, "the read, and the leases of the cold"
        assert sources == [ContextSource.CACHE] * 10 + [ContextSource.DATABASE] * 20

    def test_a_cold_user_costs_one_query(
        self, user: User, django_assert_num_queries: Queries
    ) -> None:
        snapshot_store.remove([name_of(str(user.pk))])
        with django_assert_num_queries(1), unit_of_work():
            assert resolve(str(user.pk)).source is ContextSource.DATABASE


class TestWhoSeesIt:
    def test_nothing_is_kept_outside(self, user: User, round_trips: RoundTrips) -> None:
        for _ in range(3):
            resolve(user)
        assert round_trips() == 3

    def test_a_unit_within_a_unit_is_a_new_one(self, user: User, round_trips: RoundTrips) -> None:
        with unit_of_work():
            outer = resolve(user)
            assert round_trips() == 1
            with unit_of_work():
                resolve(user)
            assert round_trips() == 1
            assert resolve(user) is outer
        assert round_trips() == 0
        assert current_unit() is None

    def test_another_thread_has_none(self) -> None:
        seen: list[UnitOfWork | None] = []
        with unit_of_work():
            thread = threading.Thread(target=lambda: seen.append(current_unit()))
            thread.start()
            thread.join()
        assert seen == [None]

    async def test_tasks_of_one_loop_have_one_each(self, user: User) -> None:
        units: list[UnitOfWork | None] = []

        async def work() -> None:
            with unit_of_work() as unit:
                await ais_enabled("x", user)
                await asyncio.sleep(0)
                assert unit.recall(user) is not None
                units.append(current_unit())

        await asyncio.gather(*(work() for _ in range(5)))
        assert len({id(unit) for unit in units}) == 5
        assert current_unit() is None

    def test_each_run_of_a_celery_task_is_one(self, user: User, round_trips: RoundTrips) -> None:
        resolve(str(user.pk))
        round_trips()
        with unit_of_work() as outer:
            asked.delay(str(user.pk)).get()
            assert round_trips() == 1, "three checks in the task, one read"
            asked.delay(str(user.pk)).get()
            assert round_trips() == 1, "the next run asks anew"
            assert current_unit() is outer
        with pytest.raises(ZeroDivisionError):
            failing.delay().get()
        assert current_unit() is None


@shared_task
def asked(key: str) -> None:
    for _ in range(3):
        resolve(key)


@shared_task
def failing() -> None:
    assert current_unit() is not None
    raise ZeroDivisionError


def expect_it_until(
    instant: datetime.datetime, clock: Clock, subject: User | str, before: SubjectContext
) -> None:
    """It is kept until this instant, at which the clock is afterwards."""
    ends = to_microseconds(instant)
    assert before.valid_until == ends
    clock.set(ends - 1)
    assert resolve(subject) is before
    clock.set(ends)


class TestWhenItIsOver:
    def test_a_context_is_kept_until_an_attribute_changes_by_itself(self, clock: Clock) -> None:
        """An account's age ticks at the very instant at which a day is full."""
        full = clock.now + datetime.timedelta(minutes=1)
        user = UserFactory.create(created_at=full - datetime.timedelta(days=3))
        with unit_of_work():
            before = resolve(user)
            assert before.context.get("account_age_days") == 2
            expect_it_until(full, clock, user, before)
            assert resolve(user).context.get("account_age_days") == 3

    def test_and_no_longer_than_a_membership(self, clock: Clock) -> None:
        ends = clock.now + datetime.timedelta(minutes=1)
        member = SegmentMemberFactory.create(segment__key="short", expires_at=ends)
        key = str(member.user_id)
        with unit_of_work():
            before = resolve(key)
            assert "short" in before.segments
            expect_it_until(ends, clock, key, before)
            assert "short" not in resolve(key).segments

    def test_a_full_memo_begins_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("featureflags.cache.unit_of_work.MAX_CONTEXTS", 10)
        unit = UnitOfWork()
        for number in range(25):
            unit.keep(str(number), None, bare_context(str(number)))
        assert unit.recall("24") is not None
        assert unit.recall("1") is None

    def test_who_was_not_there_is_found_once_created(self) -> None:
        key = uuid.uuid4()
        with unit_of_work():
            assert resolve(key).context.get("role") is None
            UserFactory.create(id=key, role="admin")
            assert resolve(key).context.get("role") == "admin"
            other = User(id=uuid.uuid4(), email="other@example.com")
            assert resolve(other.pk).context.get("role") is None
            User.objects.bulk_create([other])
            assert resolve(str(other.pk)).context.get("role") == "user"


def test_thousands_of_warm_users_are_not_read_again_for_an_edit() -> None:
    # A file for each of them takes its time; Redis takes ten thousand in one go.
    count = 10_000 if connection.vendor == "postgresql" else 2_000
    users = User.objects.bulk_create(
        User(email=f"user{number}@example.com") for number in range(count)
    )
    keys = [str(user.pk) for user in users]
    segment = SegmentFactory.create(key="edited")
    contexts_for(keys)
    segment.rules = [rule(clause("role", "in", "user"))]
    segment.save()
    with CaptureQueriesContext(connection) as captured, unit_of_work():
        contexts = contexts_for(keys)
    assert [query["sql"] for query in captured if "users_user" in query["sql"]] == []
    assert {context.source for context in contexts.values()} == {ContextSource.CACHE}
    assert all("edited" in context.segments for context in contexts.values())
