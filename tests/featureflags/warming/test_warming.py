"""Cache warm-ups in this process: which entries are written, the queries, the failures."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.cache import (
    compiled_rules,
    entries,
    fills,
    protocol,
    read_through,
    snapshot_store,
)
from featureflags.cache.fills import PendingPut
from featureflags.core.conf import app_settings
from featureflags.core.database import IsCurrent
from featureflags.kinds.registry import user_kind
from featureflags.models import WarmRange, WarmRun
from featureflags.warming.progress import report
from featureflags.warming.runs import begin
from featureflags.warming.scope import Scope, scope_for
from featureflags.warming.worker import CACHE_DOWN, warm, work_on
from tests.factories import SegmentFactory, UserFactory
from tests.featureflags.racing import committed_while_read
from tests.featureflags.warming.people import (
    EVERYBODY,
    LAST_WEEK,
    as_stored,
    cached,
    change,
    crowd,
    ends_at,
    seen,
    stored,
)
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

NOWHERE = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
FORCED = Scope(days=None, force=True)


def test_active_users_of_the_last_days_are_warmed() -> None:
    today, last_week, long_ago = seen(0.5), seen(6.9), seen(7.1)
    never, gone = UserFactory.create(), seen(1, is_active=False)
    warmed = warm(scope_for(None))
    assert (warmed.read, warmed.written, warmed.kept, warmed.failed) == (2, 2, 0, 0)
    assert warmed.succeeded
    assert cached(today, last_week, long_ago, never, gone) == as_stored(today, last_week)
    assert warm(scope_for(30)).read == 3
    assert warm(scope_for(None, everyone=True)).read == 5


def test_every_range_and_batch_is_gone_through(settings: Settings) -> None:
    change(settings, WARM_BATCH=3, WARM_RANGE=7)
    users = crowd(23, last_seen_at=timezone.now())
    begun, steps = begin(LAST_WEEK), list[int]()
    work_on(begun, steps.append)
    assert steps == [3, 3, 1, 3, 3, 1, 3, 3, 1, 2]
    assert cached(*users) == as_stored(*users)


def test_users_are_read_by_one_query_for_a_range_and_one_for_each_batch(
    settings: Settings,
) -> None:
    change(settings, WARM_BATCH=10, WARM_RANGE=100)
    counted = []
    for users in (1, 10, 11, 100, 101):
        User.objects.all().delete()
        crowd(users)
        begun = begin(FORCED)
        with CaptureQueriesContext(connection) as captured:
            work_on(begun)
        counted.append(sum('FROM "users_user"' in query["sql"] for query in captured))
    assert counted == [2, 2, 3, 11, 13]


def test_what_is_good_is_left_alone() -> None:
    users = crowd(5)
    assert warm(EVERYBODY).written == 5
    before = {user.pk: stored(user) for user in users}
    again = warm(EVERYBODY)
    assert (again.read, again.written, again.kept, again.succeeded) == (5, 0, 5, True)
    assert {user.pk: stored(user) for user in users} == before


def test_what_is_missing_or_differs_is_written() -> None:
    missing, different, good = crowd(3)
    warm(EVERYBODY)
    caches[app_settings().cache].delete(entries.name_of(str(missing.pk)))
    write_past_the_orm("UPDATE users_user SET name = 'New' WHERE id = %s", different.pk)
    before = stored(good)
    again = warm(EVERYBODY)
    assert (again.written, again.kept) == (2, 1)
    assert cached(missing, different, good) == as_stored(missing, different, good)
    assert stored(good) == before


def write_past_the_orm(sql: str, key: uuid.UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, [key.hex if connection.vendor == "sqlite" else key])


def test_what_ends_soon_begins_its_time_anew(settings: Settings) -> None:
    user, *_ = crowd(3)
    change(settings, SNAPSHOT_SECONDS=1000)
    warm(EVERYBODY)
    change(settings, SNAPSHOT_SECONDS=10_000, WARM_RENEW_SECONDS=900)
    assert warm(EVERYBODY).written == 0
    before = ends_at(user)
    change(settings, WARM_RENEW_SECONDS=1100)
    assert warm(EVERYBODY).written == 3
    assert ends_at(user) - before > 8_000


def test_force_writes_what_is_good(settings: Settings) -> None:
    user, *_ = crowd(3)
    warm(EVERYBODY)
    before = stored(user)
    change(settings, SNAPSHOT_SECONDS=500_000)
    assert warm(FORCED).written == 3
    assert stored(user) != before


def test_a_spare_past_its_time_is_written_anew(settings: Settings) -> None:
    user, *_ = crowd(1)
    change(settings, SNAPSHOT_SECONDS=0)
    warm(EVERYBODY)
    assert not cached(user)
    change(settings, SNAPSHOT_SECONDS=1000)
    warm(EVERYBODY)
    assert cached(user) == as_stored(user)


def test_numbers_of_any_size_are_kept(settings: Settings) -> None:
    change(settings, WARM_RANGE=2)
    big = {"n": 2**64, "deep": [{"x": -(10**300)}], "near": 2**64 - 1}
    users = [*crowd(1, metadata=big), seen(1)]
    assert warm(EVERYBODY).written == 2
    assert cached(*users) == as_stored(*users)
    assert cached(*users)[str(users[0].pk)].metadata == big
    assert warm(EVERYBODY).kept == 2


@pytest.mark.parametrize("before", ["warm", "cold"])
def test_what_is_written_while_its_old_row_is_held_is_not_put_back(before: str) -> None:
    user, *others = crowd(5)
    if before == "warm":
        warm(EVERYBODY)
    key = str(user.pk)

    def write() -> None:
        User.objects.filter(pk=key).update(name="New")

    begun = begin(FORCED)
    with committed_while_read("users_user", write, column="metadata"):
        work_on(begun)
    # Nothing of the user, or the new row; never what was read before the commit.
    assert cached(user).get(key) in (None, user_kind().snapshot_of(User.objects.get(pk=key)))
    assert cached(*others) == as_stored(*others)


def test_an_entry_that_changed_meanwhile_stays_as_it_is() -> None:
    user, *_ = crowd(1)
    key = str(user.pk)
    warm(EVERYBODY)
    source = protocol.read([key])
    old = user_kind().snapshot_of(user)
    User.objects.filter(pk=key).update(last_seen_at=timezone.now())
    read_through.refill(key)
    rewritten = cached(user)[key]
    assert rewritten != old
    until = fills.fresh_until_now()
    older = entries.encode(until, source.epoch or 0, old)
    assert PendingPut(source, {key: older}, until).result() == 0
    assert cached(user)[key] == rewritten


def test_rows_that_may_be_old_are_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a replica, or in an older snapshot: the query finds nothing that it may keep."""
    users = crowd(3)
    monkeypatch.setattr(IsCurrent, "as_sql", lambda *_: ("1 = 0", ()))
    monkeypatch.setattr(IsCurrent, "as_postgresql", lambda *_: ("1 = 0", ()))
    assert warm(EVERYBODY).written == 0
    monkeypatch.undo()
    assert not cached(*users)


def test_who_is_created_or_deleted_meanwhile_does_no_harm(settings: Settings) -> None:
    change(settings, WARM_BATCH=2, WARM_RANGE=4)
    crowd(8)
    begun = begin(EVERYBODY)
    lowest = UserFactory.create(id=uuid.UUID(int=0))
    highest = UserFactory.create(id=uuid.UUID(int=2**128 - 1))
    User.objects.filter(pk__in=[uuid.UUID(int=3), uuid.UUID(int=8)]).delete()
    work_on(begun)
    assert cached(*User.objects.all()) == as_stored(*User.objects.all())
    assert {str(lowest.pk), str(highest.pk)} <= cached(lowest, highest).keys()
    assert len(cached(*User.objects.all())) == 8


def test_nobody_to_warm_is_a_run_that_is_done() -> None:
    warmed = warm(LAST_WEEK)
    assert (warmed.ranges, warmed.read, warmed.percent) == (0, 0, 100)
    assert warmed.succeeded


def test_a_cache_that_is_down_ends_the_run_and_the_report_lists_what_is_left(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CACHES = {**settings.CACHES, "featureflags": NOWHERE}
    change(settings, WARM_RANGE=2)
    users = crowd(5)
    monkeypatch.setattr(snapshot_store, "PAUSE_SECONDS", 0.01)
    warmed = warm(EVERYBODY)
    assert (warmed.state, warmed.spare, warmed.error) == (WarmRun.State.FAILED, False, CACHE_DOWN)
    assert (warmed.written, warmed.failed, warmed.ranges_done) == (0, 2, 0)
    assert [each.number for each in warmed.unfinished] == [1, 2, 3]
    assert "3 of 3 ranges are not done. The cache does not answer." in str(warmed)
    assert str(warmed.unfinished[1]) == (
        f"range 2, {users[2].pk} to before {users[4].pk}: 2 users, 0 attempts."
    )


def test_a_failing_range_is_tried_again_and_then_reported(settings: Settings) -> None:
    change(settings, WARM_RANGE=2, WARM_BATCH=2)
    users = crowd(6)
    begun = begin(EVERYBODY)

    def fail_in_the_second(execute: Any, sql: str, params: Any, *rest: Any) -> Any:
        if "metadata" in sql and uuid.UUID(int=4).hex in str(params).replace("-", ""):
            raise ZeroDivisionError
        return execute(sql, params, *rest)

    with connection.execute_wrapper(fail_in_the_second):
        work_on(begun)
    ended = report(begun.run)
    assert (ended.state, ended.ranges_done, ended.ranges_failed) == ("failed", 2, 1)
    [left] = ended.unfinished
    assert (left.number, left.attempts, left.error) == (2, 5, "ZeroDivisionError")
    assert cached(*users) == as_stored(*users[:2], *users[4:])


def test_the_rules_are_kept_for_processes_without_a_database() -> None:
    SegmentFactory.create(key="friends")
    caches[app_settings().cache].delete(compiled_rules.SPARE_KEY)
    assert warm(LAST_WEEK).spare
    spare = compiled_rules._read_spare()
    assert spare is not None
    assert "friends" in {row.key for row in spare.rows}


def test_it_refuses_to_read_what_may_be_rolled_back() -> None:
    with transaction.atomic(), pytest.raises(transaction.TransactionManagementError):
        warm(LAST_WEEK)
    assert not WarmRun.objects.exists()
    assert not WarmRange.objects.exists()
