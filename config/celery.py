"""The Celery application. Workers: `celery -A config worker`; the schedule: `celery -A config beat`."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import task_prerun

from config.request_log import begin_task

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")

app = Celery("guidon")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@task_prerun.connect
def _name_lines(task_id: str, **_signal: Any) -> None:
    # Without a broker a task runs within its request, whose id its lines keep.
    if not app.conf.task_always_eager:
        begin_task(task_id)
