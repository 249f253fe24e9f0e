"""The schedule without a beat: what is due runs once, failures are reported and tried again."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Iterator

import pytest
from celery import current_app
from celery.schedules import crontab
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone

from featureflags.management.due_tasks import run_due, scheduled_tasks, statuses
from featureflags.models import ScheduledRun

RUNS: list[str] = []
FAILING: set[str] = set()


def record(name: str) -> None:
    RUNS.append(name)
    if name in FAILING:
        raise ValueError("out of luck")


@pytest.fixture
def schedule() -> Iterator[Callable[..., None]]:
    """Replace the schedule: each name with how often it runs (a crontab, or seconds)."""
    before = current_app.conf.beat_schedule
    task = current_app.task(name="tests.scheduling.record")(record)
    RUNS.clear()
    FAILING.clear()

    def replace(**every: crontab | float) -> None:
        current_app.conf.beat_schedule = {
            name: {"task": task.name, "schedule": often, "args": (name,)}
            for name, often in every.items()
        }

    yield replace
    current_app.conf.beat_schedule = before
    current_app.tasks.pop(task.name)


def ran(name: str, **ago: float) -> None:
    ScheduledRun.objects.update_or_create(
        name=name, defaults={"last_run_at": timezone.now() - datetime.timedelta(**ago)}
    )


@pytest.mark.django_db
def test_what_never_ran_is_due_and_then_is_not(schedule: Callable[..., None]) -> None:
    schedule(nightly=crontab(hour="3", minute="15"), hourly=3600)
    assert {status.name: (status.due, status.last_run_at) for status in statuses()} == {
        "nightly": (True, None),
        "hourly": (True, None),
    }
    assert [outcome.name for outcome in run_due()] == ["hourly", "nightly"]
    assert RUNS == ["hourly", "nightly"]
    assert list(run_due()) == []
    assert not any(status.due for status in statuses())


@pytest.mark.django_db
def test_the_schedule_lists_what_is_overdue(schedule: Callable[..., None]) -> None:
    schedule(nightly=crontab(hour="3", minute="15"), hourly=3600, slow=7 * 86_400)
    ran("nightly", days=1, hours=1)
    ran("hourly", minutes=59)
    ran("slow", days=8)
    assert [outcome.name for outcome in run_due()] == ["nightly", "slow"]
    assert timezone.now() - ScheduledRun.objects.get(name="slow").last_run_at < datetime.timedelta(
        minutes=5
    )


@pytest.mark.django_db
def test_a_failure_is_reported_stops_no_other_task_and_is_tried_again(
    schedule: Callable[..., None],
) -> None:
    schedule(bad=60, good=60, worse=60)
    ran("bad", days=1)
    FAILING.update({"bad", "worse"})
    before = ScheduledRun.objects.get(name="bad").last_run_at
    errors = {outcome.name: outcome.error for outcome in run_due()}
    assert errors == {
        "bad": "ValueError: out of luck",
        "good": None,
        "worse": "ValueError: out of luck",
    }
    assert ScheduledRun.objects.get(name="bad").last_run_at == before
    assert not ScheduledRun.objects.filter(name="worse").exists()
    FAILING.clear()
    assert [outcome.name for outcome in run_due()] == ["bad", "worse"]


@pytest.mark.django_db
def test_a_task_that_does_not_exist_is_a_failure(schedule: Callable[..., None]) -> None:
    schedule()
    current_app.conf.beat_schedule = {"lost": {"task": "no.such.task", "schedule": 60}}
    (outcome,) = run_due()
    assert outcome.error is not None
    assert "no.such.task" in outcome.error


@pytest.mark.django_db(transaction=True)
def test_callers_at_the_same_time_run_a_task_once(schedule: Callable[..., None]) -> None:
    schedule(once=3600, also=3600)
    ran("once", days=1)
    ran("also", days=1)
    start = threading.Barrier(4)

    def call() -> None:
        try:
            start.wait()
            list(run_due())
        finally:
            connection.close()

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert sorted(RUNS) == ["also", "once"]


def test_the_schedule_is_that_of_the_settings() -> None:
    assert {task.name for task in scheduled_tasks()} == set(django_settings.CELERY_BEAT_SCHEDULE)
