"""The schedule of this app for Celery's beat. Needs the extra `celery`.

    CELERY_BEAT_SCHEDULE = {**featureflags.celery.schedule(), **our_own}

Importing it imports no model: settings may.
"""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab

from featureflags.core.timetable import TIMETABLE


def schedule(*, broker: bool = True) -> dict[str, dict[str, Any]]:
    """The entries for `CELERY_BEAT_SCHEDULE`. Without a `broker`, for `run_due_tasks`, those that
    look after workers are left out."""
    return {
        entry.name: {
            "task": entry.task,
            "schedule": crontab(hour=entry.hour, minute=entry.minute),
        }
        for entry in TIMETABLE
        if broker or not entry.for_workers
    }
