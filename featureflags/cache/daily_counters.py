"""Counts by name, one entry in the cache for each day (UTC): all processes add to it.

For numbers that people look at. One may be lost, when an entry is evicted or a process is killed
before it has merged its own: take none for a bill.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping
from typing import cast

import msgspec
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache

from featureflags.cache.snapshot_store import Replacing
from featureflags.core.conf import app_settings
from featureflags.core.monitoring import report

logger = logging.getLogger(__name__)

KEPT_DAYS = 100
KEPT_SECONDS = KEPT_DAYS * 86_400
TRIES = 5
"""Other processes add to the same entry."""

_decode = msgspec.msgpack.Decoder(dict[str, int]).decode


def merge(prefix: str, counts: Mapping[str, int]) -> bool:
    """Add these to the entry of today; whether the cache took them. Never raises."""
    try:
        return merge_into(caches[app_settings().cache], entry_name(prefix, today()), counts)
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        name = type(error).__name__
        report(logger, "usage_flush_failed", "The cache failed to count evaluations: %s", name)
        return False


def read(prefix: str, days: int = KEPT_DAYS) -> dict[datetime.date, dict[str, int]] | None:
    """The counts of all processes that have merged theirs, by day, of so many days with today.

    None if the cache does not answer.
    """
    now = today()
    wanted = (now - datetime.timedelta(number) for number in range(days))
    names = {entry_name(prefix, day): day for day in wanted}
    try:
        found = caches[app_settings().cache].get_many(names)
    except Exception as error:  # noqa: BLE001 - each backend raises errors of its own
        name = type(error).__name__
        report(logger, "usage_read_failed", "The counts of evaluations are unreadable: %s", name)
        return None
    return {names[name]: counts_in(value) for name, value in found.items()}


def merge_into(cache: BaseCache, name: str, counts: Mapping[str, int]) -> bool:
    """Add these to an entry; False if others were faster TRIES times. Raises what the cache does."""
    for _ in range(TRIES):
        stored = cache.get(name)
        merged = dict(counts)
        for each, times in counts_in(stored).items():
            merged[each] = merged.get(each, 0) + times
        value = msgspec.msgpack.encode(merged)
        if stored is None:
            if cache.add(name, value, KEPT_SECONDS):
                return True
        elif not hasattr(cache, "replace"):
            cache.set(name, value, KEPT_SECONDS)
            return True
        elif cast("Replacing", cache).replace(name, stored, value, KEPT_SECONDS):
            return True
    return False


def counts_in(stored: object) -> dict[str, int]:
    """The counts of an entry; none where another release, or somebody else, wrote it."""
    if not isinstance(stored, bytes):
        return {}
    try:
        return _decode(stored)
    except msgspec.DecodeError as error:
        report(logger, "usage_undecodable", "Counts of evaluations are not ours: %s", error)
        return {}


def entry_name(prefix: str, day: datetime.date) -> str:
    return f"{prefix}:{day.isoformat()}"


def today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()
