"""One LaunchDarkly client for each process, made on first use, forgotten after a fork.

A fork freezes the SDK: the child has the parent's flags but none of its threads. So the child
forgets the client without touching it (its locks may be held by threads that no longer exist)
and builds its own on the next use.

Two clients share one feature store: the first sends events, the one of `looking()` never does.
Pages and commands that only look use the second, since every context that LaunchDarkly sees is
billed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ldclient import Context, LDClient
from ldclient.evaluation import EvaluationDetail
from ldclient.interfaces import DataSourceState, DataSourceStatus

from featureflags.contexts.json_limits import json_problem
from featureflags.core.conf import FeatureFlagsSettings, app_settings, source_of
from featureflags.core.fork_hooks import in_child, uwsgi
from featureflags.core.monitoring import report
from featureflags.core.times import now_in_microseconds
from featureflags.core.types import JSONValue
from featureflags.launchdarkly import listeners, log_filters, shutdown
from featureflags.launchdarkly.feature_store import CopyOnWriteStore
from featureflags.launchdarkly.flag_backup import Spare
from featureflags.launchdarkly.sdk_config import (
    SERVICE_SOURCES,
    Store,
    looking_config,
    make_store,
    sending_config,
)

logger = logging.getLogger(__name__)

REFUSED = frozenset({401, 403})
REFUSED_RETRY_SECONDS = 30.0
"""How long after a refusal of the SDK key it is tried again. The SDK itself waits for minutes."""
SPARE_WAIT_SECONDS = 0.1
"""How long a process that has the last known flags waits for newer ones before its first answer."""
SPARE_LOAD_SECONDS = 0.2


class Clients:
    """The two clients of one process, the store that they share, and its spare if one is kept.

    Waits for flags for `start_wait` seconds at most, reading the spare included; hardly at all
    where the spare has some. A refused SDK key is tried again every REFUSED_RETRY_SECONDS, over a new
    connection, so that a key that is put right needs no restart.
    """

    __slots__ = (
        "_closed",
        "_closing",
        "_refused",
        "_retry",
        "_settings",
        "_swapping",
        "has_spare_flags",
        "looking",
        "sending",
        "spare",
        "started_at",
        "store",
    )

    def __init__(self, settings: FeatureFlagsSettings) -> None:
        log_filters.quieten()
        if not _has_threads():
            logger.error(
                "uWSGI runs no threads: flags will never change. Start it with --enable-threads."
            )
        begun = time.monotonic()
        self.started_at = now_in_microseconds()
        self.spare = _spare(settings)
        self.store: Store = make_store(settings, self.spare.changed if self.spare else None)
        self.has_spare_flags = self._fill_from_spare(min(SPARE_LOAD_SECONDS, settings.start_wait))
        wait = max(0.0, settings.start_wait - (time.monotonic() - begun))
        if self.has_spare_flags:
            wait = min(wait, SPARE_WAIT_SECONDS)
        self._settings = settings
        self._refused = False
        self._retry: threading.Timer | None = None
        self._swapping = threading.Lock()
        self._closing, self._closed = threading.Event(), threading.Event()
        try:
            self.sending = _sending_client(settings, self.store, wait)
            self.looking = LDClient(looking_config(settings, self.store), start_wait=0)
        except BaseException:
            if self.spare is not None:
                self.spare.close()
            raise
        self._watch_status(self.sending)
        # Made now: Python 3.12 starts no thread any more while a process ends.
        threading.Thread(
            target=self._close_when_told, name="launchdarkly-close", daemon=True
        ).start()

    def close(self, timeout: float) -> bool:
        """Whether all that was recorded was delivered within `timeout` seconds.

        The SDK's own `close` can block for ever; its thread is a daemon, and is left behind then.
        """
        self._closing.set()
        return self._closed.wait(timeout)

    def _fill_from_spare(self, within: float) -> bool:
        if self.spare is None or not isinstance(self.store, CopyOnWriteStore):
            return False
        last_known = self.spare.load(within)
        if last_known is not None:
            self.store.fill(last_known)
        self.spare.start(self.store.raw)
        return last_known is not None

    def _close_when_told(self) -> None:
        self._closing.wait()
        with self._swapping:
            if self._retry is not None:
                self._retry.cancel()
            parts: list[Callable[[], object]] = [self.sending.close, self.looking.close]
        if self.spare is not None:
            parts.append(self.spare.close)
        for close_part in parts:
            try:
                close_part()
            except Exception as error:  # noqa: BLE001 - the next part must be closed too
                message = "LaunchDarkly's client failed to close: %s"
                report(logger, "launchdarkly_close_failed", message, type(error).__name__)
        self._closed.set()

    def _watch_status(self, client: LDClient) -> None:
        provider = client.data_source_status_provider
        provider.add_listener(self._status_changed)
        self._status_changed(provider.status)
        listeners.attach(client)

    def _status_changed(self, status: DataSourceStatus) -> None:
        """Log once that the SDK key is refused (the SDK's own lines about it are filtered out), and
        try it again later."""
        if status.state is DataSourceState.VALID:
            self._refused = False
            log_filters.refusal_is_said(said=False)
        elif _is_refusal(status):
            self._try_again_later()
            if not self._refused:
                self._refused = True
                log_filters.refusal_is_said(said=True)
                logger.error(
                    "LaunchDarkly refuses the SDK key (HTTP %s). Check LAUNCHDARKLY_SDK_KEY. "
                    "It is tried again every %.0f seconds.",
                    status.error.status_code if status.error else "?",
                    REFUSED_RETRY_SECONDS,
                )

    def _try_again_later(self) -> None:
        with self._swapping:
            if self._retry is None and not self._closing.is_set():
                self._retry = threading.Timer(REFUSED_RETRY_SECONDS, self._connect_anew)
                self._retry.name, self._retry.daemon = "launchdarkly-retry", True
                self._retry.start()

    def _connect_anew(self) -> None:
        """Put a new client in the place of the one whose key was refused. The store goes on."""
        with self._swapping:
            self._retry = None
            if self._closing.is_set():
                return
            refused, self.sending = self.sending, _sending_client(self._settings, self.store, 0.0)
        self._watch_status(self.sending)
        refused.close()


def _is_refusal(status: DataSourceStatus) -> bool:
    """True if the key is refused now. A client that is closed still shows its last error."""
    if status.state is DataSourceState.OFF or status.error is None:
        return False
    return status.error.status_code in REFUSED


def _sending_client(settings: FeatureFlagsSettings, store: Store, start_wait: float) -> LDClient:
    return LDClient(sending_config(settings, store), start_wait=start_wait)


def _has_threads() -> bool:
    """False under uWSGI without threads, where the SDK's own would never run."""
    server = uwsgi()
    options = getattr(server, "opt", {})
    return server is None or bool({"enable-threads", "threads"} & options.keys())


def _spare(settings: FeatureFlagsSettings) -> Spare | None:
    """None where none is kept. Also where its address cannot be right, or the package redis is missing:
    E015 and E056 name that."""
    if not settings.spare_url or source_of(settings) not in SERVICE_SOURCES:
        return None
    try:
        return Spare(settings)
    except (ValueError, ImportError) as error:
        message = "There is no spare of LaunchDarkly's flags: its address, or the package (%s)."
        report(logger, "launchdarkly_spare_failed", message, type(error).__name__)
        return None


_clients: Clients | None = None
_lock = threading.Lock()
_only_looking: ContextVar[bool] = ContextVar("featureflags_only_looking", default=False)


def client() -> LDClient:
    """The client to evaluate with here: within `looking()` the one that sends no events."""
    clients = _clients or _start()
    return clients.looking if _only_looking.get() else clients.sending


def detail_of(flag: str, context: Context, default: JSONValue) -> EvaluationDetail:
    """What the SDK says of a flag for a context. Never raises."""
    # Events hold the default too, and one that is not JSON would cost the events of others.
    if default is not False and default is not True and default is not None:
        default = default if json_problem(default) is None else None
    clients = _clients
    try:
        if clients is None:
            clients = _start()
        sdk = clients.looking if _only_looking.get() else clients.sending
        return sdk.variation_detail(flag, context, default)
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises must not reach a page
        message = "LaunchDarkly's client failed: %s"
        report(logger, "launchdarkly_failed", message, type(error).__name__)
        return EvaluationDetail(None, None, {"kind": "ERROR", "errorKind": "EXCEPTION"})


def feature_store() -> Store:
    """What the SDK holds; `raw()` is all of it as LaunchDarkly wrote it."""
    return (_clients or _start()).store


def has_flags() -> bool:
    """Whether there are flags to evaluate: from the source, or last known."""
    return feature_store().initialized


def current_clients(*, start: bool) -> Clients | None:
    """This process's clients; None if it has none yet and is not to `start` them."""
    return _clients or (_start() if start else None)


@contextmanager
def looking() -> Iterator[None]:
    """Evaluate without telling LaunchDarkly: for admin pages, previews and commands."""
    token = _only_looking.set(True)
    try:
        yield
    finally:
        _only_looking.reset(token)


is_looking = _only_looking.get
"""Whether this is within `looking()`."""


def close() -> None:
    """Deliver what was recorded and end the client, within `close_wait` seconds.

    The next use makes a new one.
    """
    global _clients
    with _lock:
        clients, _clients = _clients, None
    if clients is None:
        return
    if not clients.close(app_settings().close_wait):
        report(logger, "launchdarkly_close_failed", "LaunchDarkly's client did not close in time.")
    log_filters.restore()


def _start() -> Clients:
    global _clients  # noqa: PLW0603 - the one place that holds it
    with _lock:
        if _clients is None:
            _clients = Clients(app_settings())
            shutdown.at_exit(close)
        return _clients


def _forget_after_fork() -> None:
    global _clients, _lock  # noqa: PLW0603 - the one place that holds it
    _clients = None
    _lock = threading.Lock()


in_child(_forget_after_fork)
