"""Celery tasks of this app. `config/settings/schedule.py` says when they run."""

from __future__ import annotations

import logging
from typing import Any

from celery import Task, shared_task
from django.conf import settings
from django.core.cache import caches

from featureflags import recounting
from featureflags.cache.files import SharedFileCache
from featureflags.conf import app_settings
from featureflags.launchdarkly.management.client import management_client
from featureflags.launchdarkly.management.retrying import WHILE_SOMEBODY_WAITS
from featureflags.syncing.applying import Choices, Status, SyncFailed, sync_one
from featureflags.warming import WarmingFailed, users_to_warm, warm

logger = logging.getLogger(__name__)


@shared_task
def warm_contexts(days: float | None = None, *, everyone: bool = False) -> dict[str, Any]:
    """Warm the users seen within `days` (None: WARM_ACTIVE_DAYS), or everyone; what was done.

    On demand: `warm_contexts.delay(days=30)`. Raises WarmingFailed if not all are in the cache.
    """
    warmed = warm(users_to_warm(days, everyone=everyone))
    if not warmed.succeeded:
        raise WarmingFailed(str(warmed))
    logger.info("Contexts warmed: %s", warmed)
    return warmed.to_dict()


@shared_task
def sweep_file_caches() -> int:
    """Remove expired files of every cache that keeps files; how many."""
    found = [caches[alias] for alias in settings.CACHES]
    removed = sum(cache.sweep() for cache in found if isinstance(cache, SharedFileCache))
    logger.info("Expired cache files removed: %d", removed)
    return removed


@shared_task
def count_segments() -> dict[str, Any]:
    """Count all users and the members of all segments, and store the numbers for the pages."""
    counted = recounting.count_everything()
    logger.info("Segments counted: %d", len(counted.segments))
    return counted.to_dict()


@shared_task(bind=True)
def count_changed_segments(self: Task[Any, Any]) -> dict[str, Any]:
    """Count the segments that have changed since they were counted.

    Without a broker whoever saves a segment waits for this, so it gives up after `impact_seconds`:
    `count_segments` makes up for it.
    """
    seconds = app_settings().impact_seconds if self.request.is_eager else None
    counted = recounting.count_changed(seconds)
    if counted.late:
        logger.info("No time to count segments: %s", ", ".join(counted.late))
    return counted.to_dict()


@shared_task(bind=True)
def sync_segment(self: Task[Any, Any], key: str) -> list[str]:
    """Bring one segment of LaunchDarkly into step with the active segment here; what was done.

    What a person has to decide is logged and left. Raises SyncFailed or a ManagementError where a
    call failed: the next run, or `sync_segments`, finishes what was begun. Without a broker
    whoever saves the segment waits for this, so it gives up early.
    """
    policy = WHILE_SOMEBODY_WAITS if self.request.is_eager else None
    with management_client(policy=policy) as client:
        outcomes = sync_one(client, key, Choices(tag=app_settings().sync_tag))
    for outcome in outcomes:
        if outcome.status is Status.LEFT:
            logger.warning("Segment %s in LaunchDarkly: %s.", key, outcome.step.sentence)
    failed = [outcome for outcome in outcomes if outcome.status is Status.FAILED]
    if failed:
        raise SyncFailed(f"{key}: {failed[0].error}")
    return [str(outcome.step.kind) for outcome in outcomes if outcome.status is Status.DONE]
