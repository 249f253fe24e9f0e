"""A Celery worker whose parent has used its client before it forks its pool, under load."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery

from tests.featureflags.launchdarkly.probes import loading, value

app = Celery("probe", broker=os.environ["PROBE_BROKER"])
app.conf.task_ignore_result = True
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_prefetch_multiplier = 1

if os.environ.get("PROBE_EARLY"):
    value("counter", "master")
    loading()


@app.task(name="probe.ask")
def ask() -> None:
    """Write the worker's pid and what it sees, on a line of its own."""
    pid = os.getpid()
    line = f"{pid} {value('counter', f'worker-{pid}')}\n"
    with Path(os.environ["PROBE_FILE"]).open("a") as file:
        file.write(line)
