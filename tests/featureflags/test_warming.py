"""Warming: who is written, what it costs, and that it never puts an old row over a new one."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import caches
from django.db import transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.cache import rulesets, store
from featureflags.conf import app_settings
from featureflags.warming import users_to_warm, warm
from tests.factories import SegmentFactory, UserFactory
from users.models import User
from users.selectors import snapshot_of
from users.snapshots import UserSnapshot

pytestmark = pytest.mark.django_db(transaction=True)

NOWHERE = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}


def seen(days_ago: float, **fields: Any) -> User:
    return UserFactory.create(
        last_seen_at=timezone.now() - datetime.timedelta(days=days_ago), **fields
    )


def cached(*users: User) -> dict[str, UserSnapshot]:
    return dict(store.read([str(user.pk) for user in users]).fresh)


def change(settings: Settings, **values: Any) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **values}


def test_active_users_of_the_last_days_are_warmed() -> None:
    today, last_week, long_ago = seen(0.5), seen(6.9), seen(7.1)
    never, gone = UserFactory.create(), seen(1, is_active=False)
    warmed = warm(users_to_warm())
    assert (warmed.read, warmed.written, warmed.kept, warmed.failed) == (2, 2, 0, 0)
    assert warmed.succeeded
    expected = {str(user.pk): snapshot_of(user) for user in (today, last_week)}
    assert cached(today, last_week, long_ago, never, gone) == expected
    assert warm(users_to_warm(30)).read == 3
    assert warm(users_to_warm(everyone=True)).read == 5


def test_batches_go_through_all_users_with_two_queries_each(
    settings: Settings, django_assert_num_queries: Callable[[int], Any]
) -> None:
    change(settings, WARM_BATCH=3)
    users = [seen(1) for _ in range(7)]
    steps: list[int] = []
    rules = 4
    with django_assert_num_queries(rules + 3 * 2 + 1):
        warmed = warm(users_to_warm(), steps.append)
    assert (warmed.written, steps) == (7, [3, 3, 1])
    assert len(cached(*users)) == 7


def test_an_entry_that_is_there_begins_its_time_anew(settings: Settings) -> None:
    user = seen(1)
    change(settings, SNAPSHOT_SECONDS=100)
    warm(users_to_warm())
    change(settings, SNAPSHOT_SECONDS=10_000)
    before = store.read([str(user.pk)]).stored[str(user.pk)]
    assert warm(users_to_warm()).written == 1
    after = store.read([str(user.pk)]).stored[str(user.pk)]
    assert store._decode(after).fresh_until - store._decode(before).fresh_until > 9_000


def test_a_marker_is_never_overwritten() -> None:
    changed, other = seen(1), seen(1)
    store.drop([str(changed.pk)])
    warmed = warm(users_to_warm())
    assert (warmed.written, warmed.kept, warmed.succeeded) == (1, 1, True)
    assert cached(changed, other) == {str(other.pk): snapshot_of(other)}


def test_an_entry_that_changed_meanwhile_stays_as_it_is() -> None:
    user = seen(1)
    key = str(user.pk)
    warm(users_to_warm())
    source = store.read([key])
    old = snapshot_of(user)
    newer = timezone.now()
    User.objects.filter(pk=key).update(last_seen_at=newer)
    rewritten = cached(user)[key]
    assert rewritten != old
    assert store.renew(source, [old]) == 0
    assert cached(user)[key] == rewritten


def test_rows_that_may_be_old_are_not_written(settings: Settings) -> None:
    user = seen(1)
    source = store.read([str(user.pk)])
    change(settings, MARKER_SECONDS=0)
    assert store.renew(source, [snapshot_of(user)]) is None
    assert cached(user) == {}


def test_a_cache_that_is_down_is_told_and_not_waited_for(settings: Settings) -> None:
    settings.CACHES = {**settings.CACHES, "featureflags": NOWHERE}
    change(settings, WARM_BATCH=2)
    for _ in range(5):
        seen(1)
    warmed = warm(users_to_warm())
    assert (warmed.complete, warmed.spare, warmed.succeeded) == (False, False, False)
    assert (warmed.written, warmed.failed) == (0, 2)
    assert "Given up early" in str(warmed)


def test_warming_renews_the_spare_of_the_rules() -> None:
    SegmentFactory.create(key="friends")
    assert caches[app_settings().cache].get(rulesets.SPARE_KEY) is None
    assert warm(users_to_warm()).spare
    spare = rulesets._read_spare()
    assert spare is not None
    assert "friends" in {row.key for row in spare.rows}


def test_it_refuses_to_read_what_may_be_rolled_back() -> None:
    with transaction.atomic(), pytest.raises(transaction.TransactionManagementError):
        warm(users_to_warm())
