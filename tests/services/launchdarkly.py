"""A LaunchDarkly on loopback: a small server that speaks the vendor's real protocol.

It serves the v1 stream (`/all`) and poll (`/sdk/latest-all`), the v2 stream and poll
(`/sdk/stream`, `/sdk/poll`), `/bulk` and `/diagnostic`. Tests change flags, make it fail in the ways
in which the real service fails, and read the events that the SDK sent. The HTTP part is in
`launchdarkly_http.py`, the messages are in `flag_environment.py`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, ClassVar, Self

from ldclient.config import Config

from tests.services.event_recorder import Delivery, EventRecorder
from tests.services.flag_environment import (
    FlagEnvironment,
    Item,
    Kind,
    Message,
    as_server_sent_events,
    v1_change,
    v1_everything,
    v2_change,
    v2_since,
)
from tests.services.flag_json import (
    JsonObject,
    boolean_flag,
    clause,
    malformed_flag,
    segment_rule,
)
from tests.services.guarded import HOST, free_port
from tests.services.launchdarkly_http import Answer, HttpServer, Request, Stream
from tests.services.waiting import PATIENCE_SECONDS, wait_until

__all__ = [
    "Delivery",
    "LaunchDarklyServer",
    "Request",
    "boolean_flag",
    "clause",
    "segment_rule",
]

SDK_KEY = "sdk-loopback-key"
RECONNECT_SECONDS = 0.05
"""The SDK pauses for 1 s by default before it connects again; tests need not wait that long."""

WAIT_SECONDS = PATIENCE_SECONDS
PORT_TRIES = 5


class LaunchDarklyServer:
    """One environment of one project, served on one loopback port; a context manager.

    Faults last until `recover`. `stop` and `start` end and start the whole service, on the same
    port and with the same flags.
    """

    clients: ClassVar[list[Callable[[], None]]] = []
    """What closes the clients of this process, before the end of the server: one that has events to send
    would try twice without it, for a second."""

    def __init__(self, *flags: JsonObject, sdk_key: str = SDK_KEY) -> None:
        self.sdk_key = sdk_key
        self.port = free_port()
        self._owner = os.getpid()
        self._environment = FlagEnvironment()
        self._recorder = EventRecorder()
        self._lock = threading.Lock()
        self._streams: list[Stream] = []
        self._requests: list[Request] = []
        self._answers: list[Answer] = []
        self._http: HttpServer | None = None
        for each in flags:
            self._environment.put("flag", each)

    # The addresses for a client

    @property
    def url(self) -> str:
        """The base address of streams, polls and events, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    def sdk_config(self, **options: Any) -> Config:
        """The SDK's configuration for this server. `options` go to `Config` and win."""
        defaults: dict[str, Any] = {
            "sdk_key": self.sdk_key,
            "base_uri": self.url,
            "stream_uri": self.url,
            "events_uri": self.url,
            "initial_reconnect_delay": RECONNECT_SECONDS,
            "diagnostic_opt_out": True,
        }
        return Config(**{**defaults, **options})

    # Flags and segments

    def set_flag(self, data: JsonObject) -> int:
        """Add or replace a flag and send it to all streams. Returns its new version."""
        return self._change(lambda: self._environment.put("flag", data))

    def delete_flag(self, key: str) -> int:
        return self._change(lambda: self._environment.delete("flag", key))

    def set_segment(self, data: JsonObject) -> int:
        return self._change(lambda: self._environment.put("segment", data))

    def delete_segment(self, key: str) -> int:
        return self._change(lambda: self._environment.delete("segment", key))

    def send_malformed_flag(self, key: str = "malformed") -> int:
        """Send a flag that no SDK can parse, now and in all data from now on.

        `set_flag` or `delete_flag` with the same key ends that.
        """
        return self.set_flag(malformed_flag(key))

    def send_raw(self, text: bytes) -> None:
        """Write bytes, valid or not, into all open streams once."""
        with self._lock:
            for stream in self._streams:
                stream.send(text)

    def data(self, kind: Kind = "flag") -> dict[str, JsonObject]:
        """The current flags, or segments, by key."""
        with self._lock:
            held: dict[str, JsonObject] = self._environment.all_data()[f"{kind}s"]
            return held

    # Faults

    def drop_streams(self, *, clean: bool = False) -> int:
        """Close all open streams, in the middle or (`clean`) after a proper end. Returns how many."""
        with self._lock:
            for stream in self._streams:
                stream.end(clean=clean)
            return len(self._streams)

    def answer(
        self,
        status: int,
        *,
        headers: Mapping[str, str] | None = None,
        paths: Iterable[str] = (),
        times: int | None = None,
    ) -> None:
        """Answer new requests with this status, on all paths or these, always or `times` times."""
        self._add(Answer(status=status, headers=headers or {}, paths=tuple(paths), left=times))

    def hang(self, *, paths: Iterable[str] = ()) -> None:
        """Accept new requests and never answer them. Open streams go on."""
        self._add(Answer(status=None, headers={}, paths=tuple(paths), left=None))

    def recover(self) -> None:
        """End all faults, and answer the requests that hang."""
        with self._lock:
            for each in self._answers:
                each.ended.set()
            self._answers.clear()

    def stop(self) -> None:
        """Close all connections and refuse new ones. Flags and events stay."""
        self.drop_streams()
        http, self._http = self._http, None
        if http is not None:
            http.close()

    def start(self) -> None:
        """Serve on the same port (again). Raises `OSError` if another process uses it."""
        if self._http is not None:
            raise RuntimeError("the LaunchDarkly server runs already")
        self._http = HttpServer(self.port, self)

    # The requests of clients

    def events(self, kind: str | None = None) -> list[JsonObject]:
        return self._recorder.events(kind)

    def wait_for_events(
        self, count: int, timeout: float = WAIT_SECONDS, kind: str | None = None
    ) -> list[JsonObject]:
        """Wait until `count` events (of one kind) arrived; return all. Raises `TimeoutError`."""
        return self._recorder.wait_for(count, timeout, kind)

    def diagnostics(self) -> list[JsonObject]:
        return self._recorder.events(path="/diagnostic")

    def wait_for_diagnostics(self, count: int, timeout: float = WAIT_SECONDS) -> list[JsonObject]:
        return self._recorder.wait_for(count, timeout, path="/diagnostic")

    def deliveries(self, path: str = "/bulk") -> list[Delivery]:
        """The requests with events (or diagnostics), with their text and headers."""
        return self._recorder.deliveries(path)

    def clear_events(self) -> None:
        self._recorder.clear()

    def requests(self, path: str | None = None) -> list[Request]:
        """All requests that were answered, or those to one path, with their status."""
        with self._lock:
            return [each for each in self._requests if path in {None, each.path}]

    @property
    def open_streams(self) -> int:
        with self._lock:
            return len(self._streams)

    def wait_for_streams(self, count: int, timeout: float = WAIT_SECONDS) -> None:
        """Wait until exactly `count` streams are open. Raises `TimeoutError`."""
        wait_until(
            lambda: self.open_streams == count, timeout=timeout, what=f"{count} open streams"
        )

    # For the HTTP part

    def fault(self, path: str) -> Answer | None:
        with self._lock:
            for each in self._answers:
                if each.takes(path):
                    return each
        return None

    def note(self, request: Request) -> None:
        with self._lock:
            self._requests.append(request)

    def record_events(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        self._recorder.record(path, headers, body)

    def poll_v1(self) -> tuple[int, JsonObject]:
        """The state, and all data."""
        with self._lock:
            return self._environment.state, self._environment.all_data()

    def poll_v2(self, basis: str | None) -> tuple[int, list[Message]]:
        with self._lock:
            return self._environment.state, v2_since(self._environment, basis)

    def open_stream(self, stream: Stream, basis: str | None) -> None:
        """Send the data that the client lacks. Later changes follow without a gap."""
        with self._lock:
            environment = self._environment
            first = v1_everything(environment) if stream.v1 else v2_since(environment, basis)
            stream.send(as_server_sent_events(first))
            self._streams.append(stream)

    def close_stream(self, stream: Stream) -> None:
        with self._lock:
            if stream in self._streams:
                self._streams.remove(stream)

    # Inside

    def _add(self, answer: Answer) -> None:
        with self._lock:
            self._answers.append(answer)

    def _change(self, make: Callable[[], Item]) -> int:
        with self._lock:
            item = make()
            for stream in self._streams:
                messages = v1_change(item) if stream.v1 else v2_change(item)
                stream.send(as_server_sent_events(messages))
            return item.version

    def __enter__(self) -> Self:
        for attempt in range(1, PORT_TRIES + 1):
            try:
                self.start()
            except OSError:
                if attempt == PORT_TRIES:
                    raise
                self.port = free_port()
            else:
                break
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A forked child does not have the threads of the server, and must not end it.
        if os.getpid() == self._owner:
            self.recover()
            for close in self.clients:
                close()
            self.stop()
