"""The last known flags, in Redis, for a process that starts while LaunchDarkly is away.

Loading and saving never raise: without Redis there is no spare, which is counted and logged. The SDK's own persistent
store raises when Redis is down at the start, and asks Redis in the middle of evaluations.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable

from django.utils.module_loading import import_string

from featureflags.core.conf import FeatureFlagsSettings
from featureflags.core.extras import how_to_install
from featureflags.core.monitoring import report
from featureflags.launchdarkly.feature_store import RawData

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 0.2
"""For Redis to take a connection, and to answer."""
KEPT_SECONDS = 30 * 24 * 3600
"""Flags that nobody has renewed for so long say nothing any more."""


class Spare:
    """One environment's spare. A thread of its own saves them, at most once in `spare_save_seconds`."""

    def __init__(self, settings: FeatureFlagsSettings) -> None:
        """Connects to nothing yet. Raises ValueError for an address that cannot be right, and
        ImportError without the extra `redis`."""
        try:
            # No process without a spare needs the client, which takes long to import.
            client, retry = import_string("redis.Redis"), import_string("redis.retry.Retry")
            no_backoff = import_string("redis.backoff.NoBackoff")
        except ImportError:
            raise ImportError(f"It needs the package redis: {how_to_install('redis')}.") from None
        self._redis = client.from_url(
            settings.spare_url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            # Each retry would make the first request of a process wait longer.
            retry=retry(no_backoff(), 0),
        )
        self._key = spare_key(settings)
        self._pause = settings.spare_save_seconds
        self._due = threading.Event()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.saves = 0
        """How often this process has saved it."""

    def load(self, within: float) -> RawData | None:
        """The flags and segments that were saved last; None if there are none, if Redis fails, or
        if all that takes longer than `within` seconds: a name that nobody resolves, say.
        """
        found: list[RawData | None] = []
        loading = threading.Thread(
            target=lambda: found.append(self._load()), name="launchdarkly-spare-load", daemon=True
        )
        loading.start()
        loading.join(within)
        if not found:
            self._failed("read", TimeoutError())
        return found[0] if found else None

    def _load(self) -> RawData | None:
        try:
            text = self._redis.get(self._key)
            loaded = json.loads(text) if isinstance(text, bytes) else None
        except Exception as error:  # noqa: BLE001 - whatever somebody wrote there, or Redis' client raises
            self._failed("read", error)
            return None
        return loaded if isinstance(loaded, dict) and _is_raw(loaded) else None

    def start(self, read: Callable[[], RawData]) -> None:
        """From now on `changed` saves what `read` returns."""
        self._thread = threading.Thread(
            target=self._run, args=(read,), name="launchdarkly-spare", daemon=True
        )
        self._thread.start()

    def changed(self) -> None:
        """Save it soon. Does not block."""
        self._due.set()

    def close(self) -> None:
        """Save what is not saved yet, and end."""
        self._ending.set()
        self._due.set()
        if self._thread is not None:
            self._thread.join()
        self._redis.close()

    def _run(self, read: Callable[[], RawData]) -> None:
        while True:
            self._due.wait()
            if self._ending.is_set():
                break
            self._due.clear()
            self._save(read)
            if self._ending.wait(self._pause):
                break
        if self.saves:
            self._save(read)

    def _save(self, read: Callable[[], RawData]) -> None:
        try:
            self._redis.set(self._key, json.dumps(read()), ex=KEPT_SECONDS)
        except Exception as error:  # noqa: BLE001 - the thread must live to save the next change
            self._failed("saved", error)
        else:
            self.saves += 1

    def _failed(self, what: str, error: Exception) -> None:
        message = "The spare of LaunchDarkly's flags could not be %s: %s"
        report(logger, "launchdarkly_spare_failed", message, what, type(error).__name__)


def spare_key(settings: FeatureFlagsSettings) -> str:
    """One for each environment and service. The SDK key is a secret: its hash alone is shown."""
    named = "\n".join((settings.sdk_key, settings.base_uri, settings.stream_uri))
    return f"launchdarkly-spare:{hashlib.sha256(named.encode()).hexdigest()[:32]}"


def _is_raw(loaded: dict[str, object]) -> bool:
    return all(isinstance(loaded.get(name), dict) for name in ("flags", "segments"))
