"""deploy/Caddyfile in the real Caddy: slow bodies, streams, replicas that are killed or frozen, its end."""

from __future__ import annotations

import http.client
import queue
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from featureflags.live import tickets
from tests.services.guarded import HOST, KILLED, free_port
from tests.services.proxy import CADDY, CADDYFILE, ProxyServer
from tests.services.waiting import wait_until

BODY_BYTES = 200_000
LARGEST_BYTES = 16 * 2**20


@dataclass
class Upstream:
    """A replica of `web`, or `asgi`: what it was asked, and when it may end a stream."""

    requests: queue.Queue[tuple[str, int, dict[str, str]]] = field(default_factory=queue.Queue)
    may_end: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving(upstream: Upstream, port: int, host: str = HOST) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            length = int(headers.get("content-length", 0))
            upstream.requests.put((self.path, length, headers))
            self.rfile.read(length)
            if self.path.startswith(tickets.PATH):
                self._stream()
                return
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def _stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"data: first\n\n")
            self.wfile.flush()
            upstream.may_end.wait(60)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True
        block_on_close = False

    server = Server((host, port), Handler)
    # It looks for its end every so many seconds.
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        upstream.may_end.set()
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    proxy: ProxyServer
    web: Upstream
    asgi: Upstream
    web_port: int


@pytest.fixture
def stack() -> Iterator[Stack]:
    """One replica of `web`; the address of the other one refuses."""
    web, asgi = Upstream(), Upstream()
    web_port, asgi_port = free_port(), free_port()
    with ExitStack() as opened:
        opened.enter_context(serving(web, web_port))
        opened.enter_context(serving(asgi, asgi_port))
        proxy = opened.enter_context(ProxyServer(web=web_port, asgi=asgi_port))
        yield Stack(proxy=proxy, web=web, asgi=asgi, web_port=web_port)


def status(
    proxy: ProxyServer, path: str = "/", method: str = "GET", **headers: str
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(HOST, proxy.port, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_caddy_reads_the_file_and_finds_nothing_to_format(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "SITE_ADDRESS": "flags.example.com"}
    for command in (
        ["validate", "--config", str(CADDYFILE), "--adapter", "caddyfile"],
        ["fmt", "--diff", str(CADDYFILE)],
    ):
        done = subprocess.run(
            [CADDY, *command], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "not formatted" not in done.stderr
        assert '"level":"warn"' not in done.stderr, done.stderr


def test_a_replica_that_is_gone_costs_no_request(stack: Stack) -> None:
    """Each of these may be sent to the address that refuses first."""
    for _ in range(10):
        assert status(stack.proxy) == (200, b"ok")
        assert status(stack.proxy, method="POST") == (200, b"ok")


def wait_for(answers: queue.Queue[int], number: int) -> None:
    wait_until(lambda: answers.qsize() >= number, what=f"{number} answers")


def test_a_frozen_replica_keeps_what_it_has_and_gets_no_more(stack: Stack) -> None:
    """It accepts and never answers: of ten who ask one after another at most one waits for it."""
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6, by which the second replica listens")
    with socket.create_server(("::1", stack.web_port), family=socket.AF_INET6):
        answers: queue.Queue[int] = queue.Queue()

        def ask() -> None:
            try:
                answers.put(status(stack.proxy)[0])
            except OSError:
                return  # the one that waits, when the proxy ends

        for number in range(10):
            threading.Thread(target=ask, daemon=True).start()
            # Those that are answered at once are, before the next one asks.
            wait_for(answers, number)
        assert set(answers.queue) == {200}


def test_a_body_reaches_a_replica_once_all_of_it_is_there(stack: Stack) -> None:
    with socket.create_connection((HOST, stack.proxy.port), timeout=30) as slow:
        head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY_BYTES}\r\nConnection: close\r\n\r\n"
        slow.sendall(head.encode() + b"x" * (BODY_BYTES - 1))
        with pytest.raises(queue.Empty):
            stack.web.requests.get(timeout=1)
        slow.sendall(b"x")
        assert stack.web.requests.get(timeout=30)[:2] == ("/", BODY_BYTES)
        assert slow.recv(12) == b"HTTP/1.1 200"


def test_a_body_that_is_too_large_is_refused(stack: Stack) -> None:
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGEST_BYTES + 1}\r\n\r\n"
    with socket.create_connection((HOST, stack.proxy.port), timeout=30) as sending:
        with suppress(ConnectionError):
            sending.sendall(head.encode() + b"x" * (LARGEST_BYTES + 1))
        assert sending.recv(12) == b"HTTP/1.1 413"


def test_nobody_claims_another_address_or_tls(stack: Stack) -> None:
    """Throttles and locks count by the address that the proxy saw: TRUSTED_PROXIES is 1."""
    claimed = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    assert status(stack.proxy, **claimed)[0] == 200
    _path, _length, headers = stack.web.requests.get(timeout=30)
    assert headers["x-forwarded-for"].split(",")[-1].strip() == HOST
    assert headers["x-forwarded-proto"] == "http"


def test_events_come_at_once_and_an_open_stream_does_not_keep_the_proxy(stack: Stack) -> None:
    connection = http.client.HTTPConnection(HOST, stack.proxy.port, timeout=30)
    connection.request("GET", f"{tickets.PATH}?ticket=x")
    answer = connection.getresponse()
    assert answer.readline() == b"data: first\n", "the stream is not over"
    assert stack.asgi.requests.get(timeout=30)[0] == f"{tickets.PATH}?ticket=x"
    assert stack.web.requests.empty()
    stack.proxy.stop()
    assert stack.proxy.exit_code != KILLED, "grace_period is 5 s"
    assert not stack.asgi.may_end.is_set()
    connection.close()
