"""How this process is connected to LaunchDarkly: for health checks, the dashboard and metrics."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ldclient.interfaces import DataSourceErrorInfo, DataSourceErrorKind, DataSourceState

from featureflags.core.conf import Source, app_settings, source_of
from featureflags.core.times import to_rfc3339
from featureflags.core.types import MICROSECONDS_PER_SECOND
from featureflags.launchdarkly.client import (
    REFUSED_RETRY_SECONDS,
    Clients,
    current_clients,
)
from featureflags.launchdarkly.daemon_mode import DaemonStore


class State(StrEnum):
    """The SDK's states, and one for a process that has asked for no flag yet."""

    NOT_STARTED = "not_started"
    INITIALIZING = "initializing"
    """No flags from the source yet; last known ones may be served."""
    VALID = "valid"
    INTERRUPTED = "interrupted"
    """The source fails; the last values are served."""
    OFF = "off"
    """Offline, or closed."""


_STATES = {
    DataSourceState.INITIALIZING: State.INITIALIZING,
    DataSourceState.VALID: State.VALID,
    DataSourceState.INTERRUPTED: State.INTERRUPTED,
    DataSourceState.OFF: State.OFF,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceError:
    """The last failure of the source of flags. It may be over: the state says."""

    kind: str
    """`network_error`, `error_response`, `invalid_data`, `store_error` or `unknown`."""
    message: str
    http_status: int | None = None
    at: int | None = None
    """The instant (µs), where it is known."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "message": self.message,
            "http_status": self.http_status,
            "at": _rfc3339(self.at),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionStatus:
    """Where flags come from in this process, and how that goes. Holds no secret."""

    source: Source
    state: State
    since: int | None = None
    """The instant (µs) of the last change of the state."""
    changed_at: int | None = None
    """The instant (µs) at which flags last changed; None if never, or if it cannot be known."""
    error: SourceError | None = None
    flags: int = 0
    segments: int = 0
    """LaunchDarkly's own."""
    has_flags: bool = False
    is_spare: bool = False
    """Whether what is served was saved by an earlier process."""
    malformed: tuple[str, ...] = ()
    """What the SDK could not parse, as `flags/KEY` or `segments/KEY`."""
    pid: int

    def to_dict(self) -> dict[str, Any]:
        """In JSON types; instants in RFC 3339."""
        return {
            "source": self.source.value,
            "state": self.state.value,
            "since": _rfc3339(self.since),
            "changed_at": _rfc3339(self.changed_at),
            "error": None if self.error is None else self.error.to_dict(),
            "flags": self.flags,
            "segments": self.segments,
            "has_flags": self.has_flags,
            "is_spare": self.is_spare,
            "malformed": list(self.malformed),
            "pid": self.pid,
        }


def connection_status(*, start: bool = False) -> ConnectionStatus:
    """How it goes now. `start` makes the client if there is none, and waits for it."""
    source = source_of(app_settings())
    clients = current_clients(start=start)
    if clients is None:
        return ConnectionStatus(source=source, state=State.NOT_STARTED, pid=os.getpid())
    raw = clients.store.raw()
    has_flags = clients.store.initialized
    state, since, error = _READERS.get(source, _of_sdk)(clients)
    return ConnectionStatus(
        source=source,
        state=state,
        since=since,
        changed_at=clients.store.changed_at,
        error=error,
        flags=len(raw["flags"]),
        segments=len(raw["segments"]),
        has_flags=has_flags,
        is_spare=clients.has_spare_flags and clients.store.changed_at is None,
        malformed=tuple(sorted(clients.store.malformed)),
        pid=os.getpid(),
    )


_Read = tuple[State, int | None, SourceError | None]


def _of_sdk(clients: Clients) -> _Read:
    status = clients.sending.data_source_status_provider.status
    return _STATES[status.state], _microseconds(status.since), _error(status.error)


def _of_daemon(clients: Clients) -> _Read:
    store = clients.store
    filled = store.initialized
    if isinstance(store, DaemonStore) and store.failing_since is not None:
        kind = DataSourceErrorKind.STORE_ERROR.value
        error = SourceError(kind=kind, message=store.failure, at=store.failing_since)
        return State.INTERRUPTED, store.failing_since, error
    return (State.VALID if filled else State.INITIALIZING), clients.started_at, None


def _of_test_data(clients: Clients) -> _Read:
    return State.VALID, clients.started_at, None


def _of_nothing(clients: Clients) -> _Read:
    return State.OFF, clients.started_at, None


_READERS: dict[Source, Callable[[Clients], _Read]] = {
    Source.DAEMON: _of_daemon,
    Source.TEST_DATA: _of_test_data,
    Source.OFFLINE: _of_nothing,
}


def _error(info: DataSourceErrorInfo | None) -> SourceError | None:
    if info is None:
        return None
    message = info.message or ""
    if info.status_code in {401, 403}:
        message = (
            "LaunchDarkly refuses the SDK key. "
            f"It is tried again every {REFUSED_RETRY_SECONDS:.0f} seconds."
        )
    return SourceError(
        kind=info.kind.value,
        message=message,
        http_status=info.status_code or None,
        at=_microseconds(info.time),
    )


def _microseconds(seconds: object) -> int | None:
    """The SDK's seconds. Its file source gives the function `time.time` instead of its result."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return int(seconds * MICROSECONDS_PER_SECOND)


def _rfc3339(instant: int | None) -> str | None:
    return None if instant is None else to_rfc3339(instant)


def seconds_since(instant: int | None) -> float | None:
    """How long ago an instant (µs) was."""
    if instant is None:
        return None
    return max(0.0, time.time() - instant / MICROSECONDS_PER_SECOND)
