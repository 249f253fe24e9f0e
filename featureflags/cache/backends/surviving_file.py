"""The file cache for what a page works without: sessions, the last visit, lists of segments.

A disk that is full or fails, or a lock that a stopped process keeps, costs a miss, and the log one line for the outage and one for its end. The
cache of snapshots must not be this one: its errors are counted, and an entry must never stay behind.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from featureflags.cache.backends.file import DISK, SharedFileCache


def _written(write: Callable[..., object], *args: Any, **options: Any) -> bool:
    """What the write says; False where the disk refuses."""
    try:
        answer = write(*args, **options)
    except OSError as error:
        DISK.failed(error)
        return False
    DISK.answered()
    return answer is None or bool(answer)


class SurvivingFileCache(SharedFileCache):
    """A cache backend; `LOCATION` is its folder. A disk that refuses raises nothing."""

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        try:
            return super().get(key, default, version)
        except OSError:
            return default

    def set(
        self,
        key: str,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: int | None = None,
        **options: Any,
    ) -> None:
        if not _written(super().set, key, value, timeout, version, **options):
            # What was stored is old now.
            self._unlink(key, version)

    def add(self, *args: Any, **options: Any) -> bool:
        """False where the disk takes nothing, as for a name that is there."""
        return _written(super().add, *args, **options)

    def touch(self, *args: Any, **options: Any) -> bool:
        return _written(super().touch, *args, **options)

    def delete(self, key: str, version: int | None = None) -> bool:
        live = _written(super().delete, key, version)
        if DISK.outage is not None:
            self._unlink(key, version)
        return live

    def _unlink(self, key: str, version: int | None) -> None:
        """Remove an entry with no room on the disk, and without the lock that a stopped process keeps."""
        with suppress(OSError):
            Path(self._key_to_file(key, version)).unlink(missing_ok=True)
