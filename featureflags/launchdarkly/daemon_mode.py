"""Daemon mode: flags from a Redis that a relay proxy fills, through the SDK's own Redis store.

The SDK's store raises when Redis fails, and an evaluation would give the default. Here the last
known flag is served, and the status says since when Redis fails. The SDK's store also raises for
all flags if it cannot parse one of them. Here the last good version of that flag is served, or that
flag alone is missing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from django.utils.module_loading import import_string
from ldclient.feature_store import CacheConfig
from ldclient.interfaces import FeatureStore
from ldclient.versioned_data_kind import FEATURES, SEGMENTS, VersionedDataKind

from featureflags.core.conf import FeatureFlagsSettings
from featureflags.core.monitoring import report
from featureflags.core.names import looked_up_in_time
from featureflags.core.times import now_in_microseconds
from featureflags.flags.overrides import overridden_flags
from featureflags.launchdarkly.feature_store import NAMES, RawData
from featureflags.launchdarkly.override_store import overridden_everywhere, overridden_flag

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 0.1
"""For Redis to take a connection, and to answer: a page waits for it."""
RETRY_SECONDS = 1.0
"""After a failure one caller asks Redis in this time: a page asks for many flags, and many pages wait for none."""


_OF_TCP: Final = {"redis": "redis.Connection", "rediss": "redis.SSLConnection"}
"""Connections that begin with a name, by the scheme of the address."""

MALFORMED: Final[Mapping[str, bool]] = MappingProxyType({"malformed": True})
"""In the place of what the SDK cannot parse. Its store asks whether it is deleted."""


def _forgiving(kind: VersionedDataKind) -> VersionedDataKind:
    """The same kind for the SDK's store, whose `all` would raise for one that is malformed."""

    def decoded(item: Any) -> Any:
        try:
            return kind.decode(item)
        except Exception as error:  # noqa: BLE001 - whatever one item is, the others must hold
            name = _named(kind, item.get("key") if isinstance(item, dict) else None)
            why = f"{type(error).__name__}: {error}"
            report(logger, f"malformed:{name}", "Redis holds malformed %s: %s", name, why)
            return MALFORMED

    return VersionedDataKind(
        kind.namespace, kind.request_api_path, kind.stream_api_path, decoder=decoded
    )


def _same(item: Any) -> Any:
    return item


def _connection_class(url: str) -> dict[str, type]:
    """For Redis' client: one that waits for name servers no longer than for Redis itself."""
    name = _OF_TCP.get(url.partition("://")[0])
    return {} if name is None else {"connection_class": looked_up_in_time(import_string(name))}


def _named(kind: VersionedDataKind, key: object) -> str:
    return f"{NAMES[kind]}/{key}"


class DaemonStore(FeatureStore):
    """Reads Redis, remembers what it read, applies overrides. Never raises, never writes."""

    def __init__(self, settings: FeatureFlagsSettings) -> None:
        retry = import_string("redis.retry.Retry")
        no_backoff = import_string("redis.backoff.NoBackoff")
        self._redis = import_string("ldclient.integrations.Redis").new_feature_store(
            url=settings.daemon_url,
            prefix=settings.daemon_prefix,
            caching=CacheConfig(expiration=settings.daemon_cache_seconds),
            redis_opts={
                "socket_timeout": TIMEOUT_SECONDS,
                "socket_connect_timeout": TIMEOUT_SECONDS,
                **_connection_class(settings.daemon_url),
                # Each retry would wait once more.
                "retry": retry(no_backoff(), 0),
            },
        )
        self._known: dict[VersionedDataKind, dict[str, Any]] = {FEATURES: {}, SEGMENTS: {}}
        self._kinds: dict[VersionedDataKind, VersionedDataKind] = {
            kind: _forgiving(kind) for kind in (FEATURES, SEGMENTS)
        }
        self.malformed: frozenset[str] = frozenset()
        """What the SDK could not parse when it was last read, as `flags/KEY`."""
        self.changed_at: int | None = None
        """Unknown: Redis does not say when it was filled."""
        self.failing_since: int | None = None
        """The instant (µs) since which Redis fails; None while it answers."""
        self.failure: str = ""
        self._retry_at = 0.0
        self._lock = threading.Lock()

    def get(self, kind: VersionedDataKind, key: str, callback: Callable[[Any], Any] = _same) -> Any:
        overrides = overridden_flags() if kind is FEATURES else {}
        item = self._get(kind, key)
        if key in overrides:
            item = overridden_flag(key, overrides[key], item)
        return callback(item)

    def all(self, kind: VersionedDataKind, callback: Callable[[Any], Any] = _same) -> Any:
        items = self._all(kind)
        if kind is FEATURES:
            return callback(overridden_everywhere(items, overridden_flags()))
        return callback(dict(items))

    @property
    def initialized(self) -> bool:
        """Whether the relay proxy has ever filled Redis, as far as is known."""
        if self._is_left_alone():
            return any(self._known.values())
        try:
            filled = bool(self._redis.initialized)
        except Exception as error:  # noqa: BLE001 - whatever Redis' client raises is an outage
            self._failed(error)
            return any(self._known.values())
        self._answered()
        return filled

    def raw(self) -> RawData:
        """Everything as LaunchDarkly wrote it, without overrides."""
        return {
            NAMES[kind]: {key: item.to_json_dict() for key, item in self._all(kind).items()}
            for kind in (FEATURES, SEGMENTS)
        }

    def init(self, all_data: Mapping[VersionedDataKind, Mapping[str, Any]]) -> None:
        """Nothing: the relay proxy writes."""

    def upsert(self, kind: VersionedDataKind, item: Any) -> None:
        """Nothing: the relay proxy writes."""

    def delete(self, kind: VersionedDataKind, key: str, version: int) -> None:
        """Nothing: the relay proxy writes."""

    def is_monitoring_enabled(self) -> bool:
        return False

    def is_available(self) -> bool:
        return self.failing_since is None

    def _get(self, kind: VersionedDataKind, key: str) -> Any:
        if self._is_left_alone():
            return self._known[kind].get(key)
        try:
            item = self._redis.get(self._kinds[kind], key, _same)
        except Exception as error:  # noqa: BLE001 - whatever Redis' client raises is an outage
            self._failed(error)
            return self._known[kind].get(key)
        self._answered()
        self._note(kind, {key: item})
        if item is None:
            self._known[kind].pop(key, None)
        elif item is not MALFORMED:
            self._known[kind][key] = item
        return self._known[kind].get(key)

    def _all(self, kind: VersionedDataKind) -> dict[str, Any]:
        """In a dict of the caller's own: other threads go on reading meanwhile."""
        if self._is_left_alone():
            return dict(self._known[kind])
        try:
            items = self._redis.all(self._kinds[kind], _same)
        except Exception as error:  # noqa: BLE001 - whatever Redis' client raises is an outage
            self._failed(error)
            return dict(self._known[kind])
        self._answered()
        known = self._known[kind]
        self._note(kind, {**dict.fromkeys(known), **items})
        self._known[kind] = {
            key: known[key] if item is MALFORMED else item
            for key, item in items.items()
            if item is not MALFORMED or key in known
        }
        return dict(self._known[kind])

    def _note(self, kind: VersionedDataKind, items: Mapping[str, Any]) -> None:
        """What was read: whether it is malformed. None: it is not there."""
        broken = {_named(kind, key) for key, item in items.items() if item is MALFORMED}
        gone = self.malformed & {_named(kind, key) for key in items} - broken
        if broken or gone:
            self.malformed = (self.malformed - gone) | broken

    def _is_left_alone(self) -> bool:
        if self.failing_since is None:
            return False
        with self._lock:
            now = time.monotonic()
            if now < self._retry_at:
                return True
            self._retry_at = now + RETRY_SECONDS
            return False

    def _answered(self) -> None:
        self.failing_since = None

    def _failed(self, error: Exception) -> None:
        self.failure = type(error).__name__
        self._retry_at = time.monotonic() + RETRY_SECONDS
        if self.failing_since is None:
            self.failing_since = now_in_microseconds()
        message = "The Redis of LaunchDarkly's flags failed: %s"
        report(logger, "launchdarkly_daemon_failed", message, self.failure)
