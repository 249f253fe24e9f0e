"""The schedule without a beat: what is due runs once, failures are reported and tried again."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Iterator

import pytest
from celery import current_app
from celery.schedules import crontab
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django.utils import timezone

from featureflags.launchdarkly.rest.errors import ManagementError
from featureflags.management import due_tasks
from featureflags.management.due_tasks import run_due, scheduled_tasks, statuses
from featureflags.models import ScheduledRun
from featureflags.warming.worker import WarmingFailed

RUNS: list[str] = []
FAILING: set[str] = set()
ERRORS: dict[str, Exception] = {
    "warm-up": WarmingFailed("the cache did not take the segments"),
    "database": OperationalError("the server closed the connection"),
    "launchdarkly": ManagementError("no answer"),
}


def record(name: str) -> None:
    RUNS.append(name)
    if name in FAILING:
        raise ERRORS.get(name, ValueError("out of luck"))


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
@pytest.mark.parametrize("has_beat", [True, False])
def test_nothing_waits_for_an_hour_after_the_clock_was_set_back_by_one(
    schedule: Callable[..., None], has_beat: bool
) -> None:
    schedule(**({"each": 60} if has_beat else {}))
    (name, *_) = [task.name for task in scheduled_tasks()]
    ran(name, hours=-1)
    assert {status.name: status.due for status in statuses()}[name]
    # The clock of another host is ahead by a little.
    ran(name, seconds=-30)
    assert not {status.name: status.due for status in statuses()}[name]


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


@pytest.mark.django_db(transaction=True)
def test_a_server_that_is_away_is_logged_without_a_traceback(
    schedule: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    names = [*sorted(ERRORS), "programmed wrongly"]
    schedule(**dict.fromkeys(names, 60))
    FAILING.update(names)
    list(run_due())
    lines = [record for record in caplog.records if record.name == due_tasks.__name__]
    assert [bool(record.exc_info) for record in lines] == [False, False, True, False]
    assert "the cache did not take the segments" in lines[-1].getMessage()


@pytest.mark.production_stack
@pytest.mark.django_db(transaction=True)
def test_a_connection_that_a_task_has_broken_is_not_the_next_one_s(
    schedule: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule(database=60, good=60)
    FAILING.add("database")

    def lost(name: str) -> None:
        if name in FAILING:
            with pytest.raises(OperationalError), connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        record(name)

    monkeypatch.setattr(current_app.tasks["tests.scheduling.record"], "run", lost)
    assert [outcome.error is None for outcome in run_due()] == [False, True]


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
