"""Putting a task into the broker's queue from a request: a short time limit, no retry, never raises.

What the broker did not take is not lost: each task that is published here has one in the schedule that
finds the work by itself (`featureflags.core.timetable`), run by the next beat or `run_due_tasks`.

The only module that chooses between Celery and the project that has none.
"""

from __future__ import annotations

import logging
import os
from typing import Any, Final

from featureflags.core import without_celery
from featureflags.core.monitoring import report
from featureflags.core.names import addresses, is_name
from featureflags.core.outages import Server

try:
    from celery import Task, current_app, shared_task
    from kombu.exceptions import OperationalError as BrokerError
except ImportError:  # the extra `celery` is not installed
    HAS_CELERY = False
    shared_task = without_celery.shared_task  # type: ignore[assignment]
    BrokerError = without_celery.BrokerError  # type: ignore[assignment,misc]
else:
    HAS_CELERY = True

__all__ = ["BROKER", "HAS_CELERY", "BrokerError", "has_broker", "publish", "run", "shared_task"]

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 0.3
"""For each message to the broker: a save waits for it."""

BROKER = Server("The broker")
ADDRESSES: Final = ("broker_url", "broker_write_url")
VARIABLES: Final = ("CELERY_BROKER_URL", "CELERY_BROKER_WRITE_URL")
"""Celery reads them from the environment where its settings name no broker."""


def has_broker() -> bool:
    """Whether tasks run in workers. If not, they run in the process that calls them.

    Celery takes a server on localhost where no address is given; a project that has Celery
    installed and does not use it would wait for that one.
    """
    if not HAS_CELERY or current_app.conf.task_always_eager:
        return False
    named = any(current_app.conf.get(name) for name in ADDRESSES)
    return named or any(os.environ.get(name) for name in VARIABLES)


def publish(task: Task[Any, Any], *args: Any) -> bool:
    """Have a worker run the task; True if the broker has it. Without a broker it runs here and now,
    and raises what it raises."""
    if not has_broker():
        task.apply(args, throw=True)
        return True
    if BROKER.outage is not None and not BROKER.may_ask():
        return False
    try:
        with current_app.connection_for_write(transport_options=_limits()) as connection:
            _find(connection.hostname)
            producer = current_app.amqp.Producer(connection, auto_declare=False)
            task.apply_async(args, producer=producer, retry=False)
    except (BrokerError, TimeoutError) as error:
        # What kombu raises does not tell a silent broker from one that refuses; neither may cost
        # the next request its time.
        BROKER.missed(TIMEOUT_SECONDS)
        name = type(error.__cause__ or error).__name__
        message = "The broker did not take %s (%s). The schedule does its work instead."
        report(logger, "publish_failed", message, task.name, name)
        return False
    if BROKER.outage is not None:
        BROKER.answered()
    return True


def run(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Run the task of this name here and now. Raises what it raises, LookupError if there is none."""
    if HAS_CELERY:
        current_app.tasks[name].apply(args, kwargs, throw=True)
    else:
        without_celery.TASKS[name].apply(args, kwargs)


def _find(host: str | None) -> None:
    """Have the name servers answer in time: the transport asks them without a time-out."""
    if not is_name(host or ""):
        return
    try:
        addresses(str(host), None, seconds=TIMEOUT_SECONDS)
    except TimeoutError:
        raise
    except OSError:
        return  # the transport says it in its own words


def _limits() -> dict[str, object]:
    """Of Celery's Redis transport; the workers' own connections keep their settings."""
    return {
        "socket_timeout": TIMEOUT_SECONDS,
        "socket_connect_timeout": TIMEOUT_SECONDS,
        "retry_on_timeout": False,
        "max_retries": 0,
    }
