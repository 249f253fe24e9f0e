"""The tasks, called as Celery calls them: in this process, and by a real worker through Redis."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings as django_settings
from django.core.cache import caches
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.cache import protocol, snapshot_store
from featureflags.cache.backends.file import SharedFileCache
from featureflags.tasks import sweep_file_caches, warm_contexts
from featureflags.warming.worker import WarmingFailed
from tests.factories import UserFactory
from tests.services.processes import celery_worker
from tests.services.redis import redis_server
from tests.services.waiting import PATIENCE_SECONDS, wait_until
from users.models import User

WORKER_SECONDS = PATIENCE_SECONDS


def seen(days_ago: float) -> User:
    return UserFactory.create(last_seen_at=timezone.now() - datetime.timedelta(days=days_ago))


def is_cached(user: User) -> bool:
    return bool(protocol.read([str(user.pk)]).fresh)


@pytest.mark.django_db(transaction=True)
def test_without_a_broker_a_task_runs_at_once() -> None:
    active, idle = seen(1), seen(20)
    result = warm_contexts.delay()
    assert result.get()["written"] == 1
    assert (is_cached(active), is_cached(idle)) == (True, False)
    warm_contexts.delay(days=30)
    assert is_cached(idle)


@pytest.mark.django_db(transaction=True)
def test_the_setting_decides_who_is_active(settings: Settings) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, "WARM_ACTIVE_DAYS": 30}
    idle = seen(20)
    warm_contexts.delay()
    assert is_cached(idle)


@pytest.mark.django_db(transaction=True)
def test_what_is_not_warmed_fails_the_task(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_store, "PAUSE_SECONDS", 0.01)
    dead = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {**settings.CACHES, "featureflags": dead}
    seen(1)
    with pytest.raises(WarmingFailed, match="1 failed"):
        warm_contexts.delay()


@pytest.mark.django_db
def test_expired_files_are_swept_from_every_file_cache(settings: Settings, tmp_path: Path) -> None:
    backend = "featureflags.cache.backends.file.SharedFileCache"
    locations = {alias: str(tmp_path / alias) for alias in ("default", "featureflags", "cachalot")}
    settings.CACHES = {
        alias: {"BACKEND": backend, "LOCATION": location} for alias, location in locations.items()
    }
    for alias in locations:
        caches[alias].set("over", 1, timeout=-1)
        caches[alias].set("stays", 1, timeout=60)
    left = list(tmp_path.rglob(f"*{SharedFileCache.cache_suffix}"))
    assert sweep_file_caches.delay().get() == len(left) - 3
    assert len(list(tmp_path.rglob(f"*{SharedFileCache.cache_suffix}"))) == 3
    assert caches["default"].get("stays") == 1


def test_every_task_of_the_schedule_exists() -> None:
    current_app.autodiscover_tasks(force=True)
    tasks = {entry["task"] for entry in django_settings.CELERY_BEAT_SCHEDULE.values()}
    assert tasks <= set(current_app.tasks)
    assert {"featureflags.tasks.warm_contexts", "users.tasks.clear_expired_sessions"} <= tasks


def test_contexts_are_warmed_once_each_night() -> None:
    often = django_settings.CELERY_BEAT_SCHEDULE["warm-contexts"]["schedule"]
    [hour] = often.hour
    assert hour < 6
    assert len(often.minute) == 1
    assert len(often.day_of_week) == 7
    assert len(often.day_of_month) == 31
    assert len(often.month_of_year) == 12


@pytest.mark.production_stack
@pytest.mark.django_db(transaction=True)
def test_a_worker_warms_what_is_sent_through_the_broker() -> None:
    user = seen(20)
    database = os.environ["DATABASE_URL"].rpartition("/")[0]
    with redis_server() as broker:
        env = {
            "DATABASE_URL": f"{database}/{connection.settings_dict['NAME']}",
            "CELERY_BROKER_URL": broker.url,
            # The cache of this very test: the same Redis, the same prefix.
            "DJANGO_SETTINGS_MODULE": "config.settings.testing",
        }
        with celery_worker(env, "--concurrency=1") as worker:
            with current_app.connection_for_write(broker.url) as link:
                task = current_app.tasks["featureflags.tasks.warm_contexts"]
                current_app.send_task(task.name, kwargs={"days": 30}, connection=link)
            wait_until(
                lambda: is_cached(user) or "Traceback" in worker.log(),
                timeout=WORKER_SECONDS,
                what="the worker",
            )
            assert is_cached(user), worker.log()
