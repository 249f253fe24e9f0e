"""What runs by the clock. `celery beat` reads it in production, `run_due_tasks` without a broker."""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab

CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "warm-contexts": {
        "task": "featureflags.tasks.warm_contexts",
        "schedule": crontab(hour="3", minute="15"),
    },
    "count-segments": {
        "task": "featureflags.tasks.count_segments",
        "schedule": crontab(minute="5"),
    },
    "sweep-file-caches": {
        "task": "featureflags.tasks.sweep_file_caches",
        "schedule": crontab(minute="40"),
    },
    "sync-segments": {
        "task": "featureflags.tasks.sync_all_segments",
        "schedule": crontab(minute="*/5"),
    },
    "clear-sessions": {
        "task": "users.tasks.clear_expired_sessions",
        "schedule": crontab(hour="4", minute="5"),
    },
}

WITH_A_BROKER: dict[str, dict[str, Any]] = {
    "tend-warm-runs": {
        "task": "featureflags.tasks.tend_warm_runs",
        "schedule": crontab(),
    },
    "count-changed-segments": {
        "task": "featureflags.tasks.count_changed_segments",
        "schedule": crontab(),
    },
    "tend-flag-counts": {
        "task": "featureflags.tasks.tend_flag_counts",
        "schedule": crontab(),
    },
}
"""What looks after workers, and does what a broker that was away did not take."""
