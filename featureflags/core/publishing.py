"""Putting a task into the broker's queue from a request: a short time limit, no retry, never raises.

What the broker did not take is not lost: each task that is published here has one in the schedule that
finds the work by itself (`config/settings/schedule.py`), run by the next beat or `run_due_tasks`.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import Task, current_app
from kombu.exceptions import OperationalError

from featureflags.core.monitoring import report
from featureflags.core.outages import Server

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 0.3
"""For each word to the broker. Whoever saves waits for it."""

BROKER = Server("The broker")


def publish(task: Task[Any, Any], *args: Any) -> bool:
    """Have a worker run the task; True if the broker has it. Without a broker it runs here and now,
    and raises what it raises."""
    if current_app.conf.task_always_eager:
        task.apply_async(args)
        return True
    if not BROKER.may_ask():
        return False
    try:
        with current_app.connection_for_write(transport_options=_limits()) as connection:
            producer = current_app.amqp.Producer(connection, auto_declare=False)
            task.apply_async(args, producer=producer, retry=False)
    except OperationalError as error:
        # What kombu raises does not tell a silent broker from one that refuses; neither may cost
        # the next request its time.
        BROKER.missed(TIMEOUT_SECONDS)
        name = type(error.__cause__ or error).__name__
        message = "The broker did not take %s (%s). The schedule does its work instead."
        report(logger, "publish_failed", message, task.name, name)
        return False
    BROKER.answered()
    return True


def _limits() -> dict[str, object]:
    """Of Celery's Redis transport; the workers' own connections keep their settings."""
    return {
        "socket_timeout": TIMEOUT_SECONDS,
        "socket_connect_timeout": TIMEOUT_SECONDS,
        "retry_on_timeout": False,
        "max_retries": 0,
    }
