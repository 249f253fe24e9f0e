"""Celery's worker processes end without `atexit`; they close LaunchDarkly's client here.

Connected when the app is ready. Nothing is made when a worker starts: Celery ends a worker process
that is not up within 4 seconds.
"""

from __future__ import annotations

from featureflags.launchdarkly.client import close

try:
    from celery.signals import worker_process_shutdown, worker_shutdown
except ImportError:  # the extra `celery` is not installed: there are no workers
    HAS_CELERY = False
else:
    HAS_CELERY = True

UID = "featureflags.launchdarkly.celery_shutdown"


def connect() -> None:
    """Both kinds: a process of the pool, and the worker itself where tasks run in it."""
    if not HAS_CELERY:
        return
    worker_process_shutdown.connect(_close, dispatch_uid=UID, weak=False)
    worker_shutdown.connect(_close, dispatch_uid=UID, weak=False)


def _close(**_kwargs: object) -> None:
    close()
