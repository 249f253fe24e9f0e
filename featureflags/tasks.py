"""Celery tasks of this app. `config/settings/schedule.py` says when they run."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task
from django.conf import settings
from django.core.cache import caches

from featureflags.cache.files import SharedFileCache
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
