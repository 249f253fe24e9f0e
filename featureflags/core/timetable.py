"""What this app does by the clock, as data: for Celery's beat, and for `run_due_tasks` without it.

    Entry(name="count-segments", task="featureflags.tasks.count_segments", minute="5")

`featureflags.celery.schedule()` gives it to beat.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final

DAY: Final = datetime.timedelta(days=1)
HOUR: Final = datetime.timedelta(hours=1)
MINUTE: Final = datetime.timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One task of the schedule."""

    name: str
    task: str
    """The name of the task: module and function."""
    every: datetime.timedelta
    """How often, where no beat runs: so long after its last run it is due again."""
    hour: str = "*"
    minute: str = "*"
    """When, as beat's crontab takes them (UTC, or the project's CELERY_TIMEZONE)."""
    for_workers: bool = False
    """It looks after workers, and does what a broker that was away did not take."""

    def is_due(self, last_run_at: datetime.datetime) -> bool:
        """By `every`."""
        return datetime.datetime.now(datetime.UTC) >= last_run_at + self.every


TIMETABLE: Final = (
    Entry(
        name="warm-contexts",
        task="featureflags.tasks.warm_contexts",
        every=DAY,
        hour="3",
        minute="15",
    ),
    Entry(name="count-segments", task="featureflags.tasks.count_segments", every=HOUR, minute="5"),
    Entry(
        name="sweep-file-caches",
        task="featureflags.tasks.sweep_file_caches",
        every=HOUR,
        minute="40",
    ),
    Entry(
        name="delete-answered-writes",
        task="featureflags.tasks.delete_answered_writes",
        every=HOUR,
        minute="50",
    ),
    Entry(
        name="delete-ended-drafts",
        task="featureflags.tasks.delete_ended_drafts",
        every=HOUR,
        minute="55",
    ),
    Entry(
        name="sync-segments",
        task="featureflags.tasks.sync_all_segments",
        every=5 * MINUTE,
        minute="*/5",
    ),
    Entry(
        name="tend-warm-runs",
        task="featureflags.tasks.tend_warm_runs",
        every=MINUTE,
        for_workers=True,
    ),
    Entry(
        name="count-changed-segments",
        task="featureflags.tasks.count_changed_segments",
        every=MINUTE,
        for_workers=True,
    ),
    Entry(
        name="tend-flag-counts",
        task="featureflags.tasks.tend_flag_counts",
        every=MINUTE,
        for_workers=True,
    ),
    Entry(
        name="make-planned-changes", task="featureflags.tasks.make_planned_changes", every=MINUTE
    ),
    # By name in this order: what is observed is sent in the same run.
    Entry(name="observe", task="featureflags.tasks.observe", every=MINUTE),
    Entry(name="send-mail-notices", task="featureflags.tasks.send_mail_notices", every=MINUTE),
    Entry(name="send-webhooks", task="featureflags.tasks.send_webhooks", every=MINUTE),
)
