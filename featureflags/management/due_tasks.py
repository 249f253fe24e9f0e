"""The schedule without a beat: runs what is overdue, in this process.

`ScheduledRun` stores when each task ran last. A task is claimed before it runs, under a lock on its
row, so that of two calls at the same time only one runs it. A run that fails gives its claim back:
the next call tries again. If the process is killed while a task runs, the task waits for its next
time, as with beat.

A project without Celery, or whose Celery has no schedule, has the one of this app.
"""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from django.db import close_old_connections, transaction
from django.utils import timezone

from featureflags import tasks as tasks  # registers them when imported
from featureflags.core import publishing
from featureflags.core.database import is_away
from featureflags.core.publishing import BrokerError
from featureflags.core.timetable import TIMETABLE, Entry
from featureflags.launchdarkly.rest.errors import ManagementError
from featureflags.launchdarkly.segment_sync.apply import SyncFailed
from featureflags.models import ScheduledRun
from featureflags.warming.runs import AnotherRun
from featureflags.warming.worker import WarmingFailed

try:
    from celery import current_app
    from celery.schedules import BaseSchedule, schedule
except ImportError:  # the extra `celery` is not installed
    HAS_CELERY = False
else:
    HAS_CELERY = True

logger = logging.getLogger(__name__)

SAY_ENOUGH = (AnotherRun, BrokerError, ManagementError, SyncFailed, WarmingFailed)
"""Failures of servers and plans: their words say it all. Any other one is logged with its traceback."""

CLOCK_SKEW: Final = datetime.timedelta(minutes=1)
"""Clocks of several hosts differ by less. A task that ran later than this from now ran before the clock was set
back, and must not wait until the clock is there again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledTask:
    """One entry of CELERY_BEAT_SCHEDULE, or of this app's own."""

    name: str
    task: str
    """The name of the task."""
    schedule: BaseSchedule | Entry
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any]

    def is_due(self, last_run_at: datetime.datetime | None) -> bool:
        """By the schedule's own word; what never ran is due, or ran in what is the future by now."""
        if last_run_at is None or last_run_at > timezone.now() + CLOCK_SKEW:
            return True
        if isinstance(self.schedule, Entry):
            return self.schedule.is_due(last_run_at)
        return bool(self.schedule.is_due(last_run_at).is_due)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A task of the schedule, when it ran last and whether it should run now."""

    name: str
    task: str
    last_run_at: datetime.datetime | None
    due: bool

    def to_dict(self) -> dict[str, Any]:
        last = None if self.last_run_at is None else self.last_run_at.isoformat()
        return {**asdict(self), "last_run_at": last}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """One run. `error` is None if it succeeded."""

    name: str
    task: str
    seconds: float
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "seconds": round(self.seconds, 3)}


def scheduled_tasks() -> list[ScheduledTask]:
    """The schedule of the Celery application, by name; else that of this app."""
    entries: dict[str, dict[str, Any]] = current_app.conf.beat_schedule if HAS_CELERY else {}
    if not entries:
        return [
            ScheduledTask(name=entry.name, task=entry.task, schedule=entry, kwargs={})
            for entry in sorted(TIMETABLE, key=lambda entry: entry.name)
            if publishing.has_broker() or not entry.for_workers
        ]
    return [
        ScheduledTask(
            name=name,
            task=entry["task"],
            schedule=_as_schedule(entry["schedule"]),
            args=tuple(entry.get("args", ())),
            kwargs=dict(entry.get("kwargs", {})),
        )
        for name, entry in sorted(entries.items())
    ]


def _as_schedule(given: BaseSchedule | datetime.timedelta | float) -> BaseSchedule:
    """A schedule as Celery understands it: a number is seconds."""
    if isinstance(given, BaseSchedule):
        return given
    every = given if isinstance(given, datetime.timedelta) else datetime.timedelta(seconds=given)
    return schedule(every, app=current_app)


def statuses() -> list[Status]:
    """Every task of the schedule, nothing run: one query."""
    runs = dict(ScheduledRun.objects.values_list("name", "last_run_at"))
    return [
        Status(
            name=task.name,
            task=task.task,
            last_run_at=runs.get(task.name),
            due=task.is_due(runs.get(task.name)),
        )
        for task in scheduled_tasks()
    ]


def run_due() -> Iterator[TaskResult]:
    """Run what is overdue, one after another, and say how each went. A failure stops no other."""
    if HAS_CELERY:
        current_app.autodiscover_tasks(force=True)
    for task in scheduled_tasks():
        claim = _claim(task)
        if claim is not None:
            yield _run(task, claim)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    row: int
    now: datetime.datetime
    before: datetime.datetime | None


def _claim(task: ScheduledTask) -> _Claim | None:
    """Note that the task runs now; None if it is not due, or if another process was faster."""
    now = timezone.now()
    with transaction.atomic():
        row, created = ScheduledRun.objects.get_or_create(
            name=task.name, defaults={"last_run_at": now}
        )
        if created:
            return _Claim(row=row.pk, now=now, before=None)
        locked = ScheduledRun.objects.select_for_update().get(pk=row.pk)
        before = locked.last_run_at
        if not task.is_due(before):
            return None
        locked.last_run_at = now
        locked.save(update_fields=["last_run_at"])
        return _Claim(row=row.pk, now=now, before=before)


def _run(task: ScheduledTask, claim: _Claim) -> TaskResult:
    began = time.monotonic()
    error: str | None = None
    try:
        publishing.run(task.task, task.args, task.kwargs)
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"
        is_clear = isinstance(failure, SAY_ENOUGH) or is_away(failure)
        logger.exception(
            "The scheduled task %s failed: %s", task.name, error, exc_info=not is_clear
        )
        if is_away(failure):
            close_old_connections()  # Those that are broken: the next task has new ones.
        _give_back(claim)
    return TaskResult(name=task.name, task=task.task, seconds=time.monotonic() - began, error=error)


def _give_back(claim: _Claim) -> None:
    """Undo the claim, unless somebody has claimed the task since."""
    mine = ScheduledRun.objects.filter(pk=claim.row, last_run_at=claim.now)
    if claim.before is None:
        mine.delete()
    else:
        mine.update(last_run_at=claim.before)
