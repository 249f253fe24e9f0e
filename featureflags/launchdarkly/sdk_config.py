"""From our settings to the SDK's: the store, the source of flags, and what events may hold."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, TypeAlias

from django.utils.module_loading import import_string
from ldclient import Config
from ldclient.interfaces import FeatureStore, UpdateProcessor

from featureflags.contexts.attributes import private_names
from featureflags.core.conf import FeatureFlagsSettings, Source, VisitorEvents, source_of
from featureflags.core.monitoring import report
from featureflags.launchdarkly.daemon_mode import DaemonStore
from featureflags.launchdarkly.event_processors import (
    ReturningVisitorEvents,
    SummaryOnlyEvents,
    UserEvents,
)
from featureflags.launchdarkly.feature_store import CopyOnWriteStore

if TYPE_CHECKING:
    # Importing it imports the clients of every store that the SDK knows, Redis' too.
    from ldclient.integrations.test_data import TestData

logger = logging.getLogger(__name__)

Store: TypeAlias = CopyOnWriteStore | DaemonStore

FILE_POLL_SECONDS = 0.5
"""An edited flag file is seen within a second. Polling: a watcher reloads once for each reader."""
OFFLINE_KEY = "sdk-offline"
"""The SDK wants a key, even where no LaunchDarkly is asked."""
SERVICE_SOURCES = frozenset({Source.STREAMING, Source.POLLING})
"""Those that ask LaunchDarkly, or a relay proxy, over HTTP."""


@cache
def sdk_test_data() -> TestData:
    """What the source `test-data` serves in this process; see the SDK's `TestData`."""
    made: TestData = import_string("ldclient.integrations.test_data.TestData").data_source()
    return made


def make_store(settings: FeatureFlagsSettings, on_change: Callable[[], None] | None) -> Store:
    """An empty store; `on_change` is called after each change of its flags."""
    if source_of(settings) is Source.DAEMON:
        return DaemonStore(settings)
    return CopyOnWriteStore(on_change)


def sending_config(settings: FeatureFlagsSettings, store: Store) -> Config:
    """For the client that fills the store and sends events."""
    source = source_of(settings)
    options: dict[str, Any] = {
        "feature_store": store,
        "context_keys_capacity": settings.context_keys_capacity,
        # Each context names its private attributes too; this covers code that uses the SDK directly.
        "private_attributes": set(private_names()),
        **_SOURCES[source](settings),
        **_event_options(settings, source),
    }
    addresses = {
        "base_uri": settings.base_uri,
        "stream_uri": settings.stream_uri,
        "events_uri": settings.events_uri,
    }
    given: dict[str, Any] = {name: address for name, address in addresses.items() if address}
    return Config(settings.sdk_key or OFFLINE_KEY, **options, **given)


def looking_config(settings: FeatureFlagsSettings, store: Store) -> Config:
    """For the client that only reads the store: it connects to nothing and sends no events."""
    return Config(
        settings.sdk_key or OFFLINE_KEY,
        feature_store=store,
        use_ldd=True,
        send_events=False,
        diagnostic_opt_out=True,
    )


class NoSource(UpdateProcessor):
    """Offline: there is nothing to wait for.

    The SDK's own offline mode never reads the store, and so would not see overrides.
    """

    def __init__(self, _config: Config, _store: FeatureStore, ready: Event) -> None:
        self._ready = ready

    def start(self) -> None:
        self._ready.set()

    def stop(self) -> None:
        """Nothing runs."""

    def is_alive(self) -> bool:
        return True

    def initialized(self) -> bool:
        return True


def _event_options(settings: FeatureFlagsSettings, source: Source) -> dict[str, Any]:
    """Without an SDK key events go only where a place is named."""
    has_place = bool(settings.sdk_key or settings.events_uri) and source is not Source.OFFLINE
    options: dict[str, Any] = {"send_events": settings.send_events and has_place}
    if not has_place:
        options["diagnostic_opt_out"] = True
    if settings.summary_events_only:
        options |= {"event_processor_class": SummaryOnlyEvents, "omit_anonymous_contexts": True}
    elif processor := _VISITOR_EVENTS.get(settings.visitor_events):
        options["event_processor_class"] = processor
    return options


def _file_options(settings: FeatureFlagsSettings) -> dict[str, Any]:
    """Flags from a file, which may appear later."""
    if not Path(settings.flag_file).is_file():
        report(logger, "flag_file_missing", "There is no flag file %s.", settings.flag_file)
    source = import_string("ldclient.integrations.Files").new_data_source(
        paths=[settings.flag_file],
        auto_update=True,
        force_polling=True,
        poll_interval=FILE_POLL_SECONDS,
    )
    return {"update_processor_class": source}


_VISITOR_EVENTS = {
    VisitorEvents.RETURNING: ReturningVisitorEvents,
    VisitorEvents.NONE: UserEvents,
}

_SOURCES: dict[Source, Callable[[FeatureFlagsSettings], dict[str, Any]]] = {
    Source.STREAMING: lambda _: {},
    Source.POLLING: lambda settings: {"stream": False, "poll_interval": settings.poll_seconds},
    Source.DAEMON: lambda _: {"use_ldd": True},
    Source.FILE: _file_options,
    Source.TEST_DATA: lambda _: {"update_processor_class": sdk_test_data()},
    Source.OFFLINE: lambda _: {"update_processor_class": NoSource},
}
