"""The HTTP half of the LaunchDarkly on loopback: requests, streams, faults. Standard library only.

What it answers comes from a `Site`, which `launchdarkly.LaunchDarklyServer` is. Streams are sent with
`Transfer-Encoding: chunked`: without it urllib3 buffers 10 kB and the SDK never initialises.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from tests.services.flag_environment import Message, as_poll
from tests.services.flag_json import JsonObject
from tests.services.guarded import HOST

HEARTBEAT_SECONDS = 1.0
HEARTBEAT = b":\n\n"
CLOSE_SECONDS = 10.0
ACCEPT_POLL_SECONDS = 0.05

STREAMS = {"/all": True, "/sdk/stream": False}
"""The paths of streams, and True for protocol v1."""

EVENT_PATHS = ("/bulk", "/diagnostic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request and the status of its answer."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    status: int


@dataclass(slots=True, kw_only=True)
class Answer:
    """A fault: this status for the answer, or (None) no answer until the fault ends."""

    status: int | None
    headers: Mapping[str, str]
    paths: tuple[str, ...]
    left: int | None
    ended: threading.Event = field(default_factory=threading.Event)

    def takes(self, path: str) -> bool:
        """True if this fault answers the request, which is then counted. The caller holds the lock."""
        if self.left == 0 or (self.paths and path not in self.paths):
            return False
        if self.left is not None:
            self.left -= 1
        return True


class Stream:
    """One open stream: other threads queue bytes, its own thread writes them."""

    def __init__(self, connection: socket.socket, *, v1: bool) -> None:
        self.v1 = v1
        self._connection = connection
        self._queue: deque[bytes] = deque()
        self._ending = False
        self._clean = False
        self._wake, self._alarm = socket.socketpair()
        self._alarm.setblocking(False)

    def send(self, text: bytes) -> None:
        """Never blocks: the queue has no limit."""
        self._queue.append(text)
        self._ring()

    def end(self, *, clean: bool) -> None:
        self._clean = clean
        self._ending = True
        self._ring()

    def serve(self) -> None:
        """Write until `end` or the client ends it. Raises `OSError` if the connection breaks."""
        with self._wake, self._alarm:
            while self._write_queue():
                readable, _, _ = select.select(
                    [self._wake, self._connection], [], [], HEARTBEAT_SECONDS
                )
                if self._connection in readable:
                    return
                if self._wake in readable:
                    self._wake.recv(4096)
                else:
                    self._queue.append(HEARTBEAT)

    def _ring(self) -> None:
        try:
            self._alarm.send(b"!")
        except OSError:
            # The writer is awake already (the pipe is full), or the stream has just ended.
            return

    def _write_queue(self) -> bool:
        while self._queue:
            text = self._queue.popleft()
            self._connection.sendall(f"{len(text):x}\r\n".encode() + text + b"\r\n")
        if self._ending and self._clean:
            self._connection.sendall(b"0\r\n\r\n")
        return not self._ending


class Site(Protocol):
    """The contents that are served. All methods are called from many threads."""

    sdk_key: str

    def fault(self, path: str) -> Answer | None: ...
    def note(self, request: Request) -> None: ...
    def record_events(self, path: str, headers: Mapping[str, str], body: bytes) -> None: ...
    def poll_v1(self) -> tuple[int, JsonObject]: ...
    def poll_v2(self, basis: str | None) -> tuple[int, list[Message]]: ...
    def open_stream(self, stream: Stream, basis: str | None) -> None: ...
    def close_stream(self, stream: Stream) -> None: ...


class HttpServer(ThreadingHTTPServer):
    """Listens from construction to `close`; every connection has a thread."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, site: Site) -> None:
        self.site = site
        self._connections: set[socket.socket] = set()
        self._closed = False
        self._guard = threading.Lock()
        super().__init__((HOST, port), Handler)
        self._thread = threading.Thread(
            target=self.serve_forever, args=(ACCEPT_POLL_SECONDS,), name="launchdarkly", daemon=True
        )
        self._thread.start()

    def opened(self, connection: socket.socket) -> bool:
        """True if the connection may be served: one that was accepted during `close` may not."""
        with self._guard:
            self._connections.add(connection)
            return not self._closed

    def closed(self, connection: socket.socket) -> None:
        with self._guard:
            self._connections.discard(connection)

    def close(self) -> None:
        """Refuse new connections and close the open ones, also those that a forked child has copied."""
        self.shutdown()
        self._thread.join(CLOSE_SECONDS)
        cut(self.socket)
        self.server_close()
        with self._guard:
            self._closed = True
            for connection in self._connections:
                cut(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # These tests are about clients that end in the middle of a request.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection of a client, which may send several requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpServer

    def handle(self) -> None:
        try:
            if self.server.opened(self.connection):
                super().handle()
        finally:
            self.server.closed(self.connection)

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, *args: object) -> None:
        """Log nothing: the site keeps the requests."""

    def _serve(self) -> None:
        url = urlsplit(self.path)
        self._path, self._query = url.path, parse_qs(url.query)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.site.fault(self._path)
        if fault is not None and fault.status is not None:
            self._reply(fault.status, {"message": "a fault of the test"}, fault.headers)
            return
        if fault is not None:
            fault.ended.wait()
        if self.headers.get("Authorization") != self.server.site.sdk_key:
            self._reply(401, {"message": "Invalid SDK key"})
            return
        self._route(body)

    def _route(self, body: bytes) -> None:
        match self.command, self._path:
            case "GET", path if path in STREAMS:
                self._stream(v1=STREAMS[path])
            case "GET", "/sdk/latest-all":
                state, data = self.server.site.poll_v1()
                self._poll(state, data)
            case "GET", "/sdk/poll":
                state, messages = self.server.site.poll_v2(self._basis)
                self._poll(state, as_poll(messages))
            case "POST", path if path in EVENT_PATHS:
                self._events(body)
            case _:
                self._reply(404, {"message": "not found"})

    @property
    def _basis(self) -> str | None:
        return self._query.get("basis", [None])[0]

    def _stream(self, *, v1: bool) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._note(200)
        stream = Stream(self.connection, v1=v1)
        self.server.site.open_stream(stream, self._basis)
        try:
            stream.serve()
        finally:
            self.server.site.close_stream(stream)

    def _poll(self, state: int, data: JsonObject) -> None:
        etag = f'"{state}"'
        if self.headers.get("If-None-Match") == etag:
            self._reply(304, None, {"ETag": etag})
        else:
            self._reply(200, data, {"ETag": etag})

    def _events(self, body: bytes) -> None:
        try:
            self.server.site.record_events(self._path, dict(self.headers), body)
        except (OSError, ValueError) as error:
            self._reply(400, {"message": str(error)})
        else:
            self._reply(202, None)

    def _reply(
        self, status: int, data: JsonObject | None, headers: Mapping[str, str] | None = None
    ) -> None:
        body = b"" if data is None else json.dumps(data).encode()
        # Before the answer: the test may look as soon as its client has it.
        self._note(status)
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _note(self, status: int) -> None:
        self.server.site.note(
            Request(
                method=self.command,
                path=self._path,
                query=self._query,
                headers=dict(self.headers),
                status=status,
            )
        )


def cut(connection: socket.socket) -> None:
    """End a connection for all processes that share it."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # The other side has closed it already.
        return
