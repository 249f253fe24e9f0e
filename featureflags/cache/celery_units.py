"""Each run of a task is a unit of work of its own, in a worker and in the caller's process."""

from __future__ import annotations

from contextlib import AbstractContextManager

from featureflags.cache.unit_of_work import unit_of_work
from featureflags.core import without_celery

try:
    from celery.signals import task_postrun, task_prerun
except ImportError:  # the extra `celery` is not installed
    HAS_CELERY = False
else:
    HAS_CELERY = True

UID = "featureflags.cache.celery_units"

_open: dict[str, list[AbstractContextManager[object]]] = {}
"""By the task's id. More than one only where a task without a broker is retried within itself."""


def connect() -> None:
    """For every task of every app, from now on; without Celery, for those of this app."""
    if not HAS_CELERY:
        without_celery.around_each(unit_of_work)
        return
    task_prerun.connect(_begin, dispatch_uid=UID, weak=False)
    task_postrun.connect(_end, dispatch_uid=UID, weak=False)


def _begin(task_id: str, **_kwargs: object) -> None:
    unit = unit_of_work()
    unit.__enter__()
    _open.setdefault(task_id, []).append(unit)


def _end(task_id: str, **_kwargs: object) -> None:
    units = _open.get(task_id)
    if units:
        units.pop().__exit__(None, None, None)
        if not units:
            del _open[task_id]
