"""One LaunchDarkly client for each process, made on first use, forgotten after a fork.

A fork freezes the SDK: the child has the parent's flags but none of its threads. So the child
forgets the client without touching it (its locks may be held by threads that no longer exist)
and builds its own on the next use.

Two clients share one feature store: `client()` sends events, `looking_client()` never does. Pages
and commands that only look use the second, since every context that LaunchDarkly sees is billed.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from ldclient import Config, LDClient
from ldclient.feature_store import InMemoryFeatureStore
from ldclient.integrations import Files

from featureflags.attributes import private_names
from featureflags.conf import FeatureFlagsSettings, app_settings
from featureflags.monitoring import report

logger = logging.getLogger(__name__)

FILE_POLL_SECONDS = 0.5
"""An edited flag file is seen within a second. Polling: a watcher reloads once for each reader."""
OFFLINE_KEY = "sdk-offline"
"""The SDK wants a key, even where no LaunchDarkly is asked."""


class Clients:
    """The two clients of one process, and the store that they share."""

    __slots__ = ("looking", "sending", "store")

    def __init__(self, settings: FeatureFlagsSettings) -> None:
        self.store = InMemoryFeatureStore()
        self.sending = LDClient(_config(settings, self.store), start_wait=settings.start_wait)
        # Daemon mode: reads the store that the first client fills, and connects to nothing.
        self.looking = LDClient(
            Config(
                settings.sdk_key or OFFLINE_KEY,
                feature_store=self.store,
                use_ldd=True,
                send_events=False,
                diagnostic_opt_out=True,
            ),
            start_wait=0,
        )

    def close(self) -> None:
        self.looking.close()
        self.sending.close()


_clients: Clients | None = None
_lock = threading.Lock()
_only_looking: ContextVar[bool] = ContextVar("featureflags_only_looking", default=False)


def client() -> LDClient:
    """The client to evaluate with here: within `looking()` the one that sends no events."""
    clients = _clients or _start()
    return clients.looking if _only_looking.get() else clients.sending


def has_flags() -> bool:
    """Whether the SDK has received flags, ever."""
    clients = _clients or _start()
    return bool(clients.store.initialized)


@contextmanager
def looking() -> Iterator[None]:
    """Evaluate without telling LaunchDarkly: for admin pages, previews and commands."""
    token = _only_looking.set(True)
    try:
        yield
    finally:
        _only_looking.reset(token)


def close() -> None:
    """Deliver what was recorded and end the client, within `close_wait` seconds.

    The next use makes a new one. A thread that still closes after that is left behind: it is a
    daemon, and the SDK's `close` can block for ever.
    """
    global _clients
    with _lock:
        clients, _clients = _clients, None
    if clients is None:
        return
    closing = threading.Thread(target=clients.close, name="launchdarkly-close", daemon=True)
    closing.start()
    closing.join(app_settings().close_wait)
    if closing.is_alive():
        report(logger, "launchdarkly_close_failed", "LaunchDarkly's client did not close in time.")


def _start() -> Clients:
    global _clients  # noqa: PLW0603 - the one place that holds it
    with _lock:
        if _clients is None:
            _clients = Clients(app_settings())
            atexit.register(_close_in(os.getpid()))
        return _clients


def _close_in(pid: int) -> Callable[[], None]:
    """An exit handler for one process: in a forked child `close` would hang."""

    def close_at_exit() -> None:
        if os.getpid() == pid:
            close()

    return close_at_exit


def _forget_after_fork() -> None:
    global _clients, _lock  # noqa: PLW0603 - the one place that holds it
    _clients = None
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_after_fork)


def _config(settings: FeatureFlagsSettings, store: InMemoryFeatureStore) -> Config:
    options: dict[str, Any] = {
        "feature_store": store,
        "send_events": settings.send_events,
        # Each context names its private attributes too; this covers whoever uses the SDK directly.
        "private_attributes": set(private_names()),
    }
    if not settings.sdk_key:
        return Config(OFFLINE_KEY, **{**options, **_file_options(settings)})
    addresses = {
        "base_uri": settings.base_uri,
        "stream_uri": settings.stream_uri,
        "events_uri": settings.events_uri,
    }
    given: dict[str, Any] = {name: address for name, address in addresses.items() if address}
    return Config(settings.sdk_key, **options, **given)


def _file_options(settings: FeatureFlagsSettings) -> dict[str, Any]:
    """Flags from a file, which may appear later. Events go only where a place is named."""
    if not settings.flag_file:
        return {"offline": True}
    if not Path(settings.flag_file).is_file():
        report(logger, "flag_file_missing", "There is no flag file %s.", settings.flag_file)
    source = Files.new_data_source(
        paths=[settings.flag_file],
        auto_update=True,
        force_polling=True,
        poll_interval=FILE_POLL_SECONDS,
    )
    options: dict[str, Any] = {"update_processor_class": source, "send_events": False}
    if settings.events_uri:
        options |= {"events_uri": settings.events_uri, "send_events": settings.send_events}
    return options
