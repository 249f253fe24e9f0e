"""Servers and browsers of these tests, each gone at its end, and the programs that the documentation shows."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.browser.chromium import MISSING, find_chromium, is_required
from tests.browser.thread import BrowserThread
from tests.docs.fences import PAGES, fences_of


class Answering(BaseHTTPRequestHandler):
    """Answers that any page may read; subclasses have `get`."""

    def do_GET(self) -> None:
        self.get()

    def get(self) -> None:
        raise NotImplementedError

    def answer(self, content_type: str, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Headers", "*")
        self.send_header("Content-Type", content_type)
        self.end_headers()
        self.wfile.write(body)

    def do_OPTIONS(self) -> None:
        self.answer("text/plain", b"")

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server with this handler."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def chromium() -> Iterator[BrowserThread]:
    """A browser; without one the test is skipped, or fails where one is required."""
    executable = find_chromium()
    if executable is None:
        if is_required():
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    thread = BrowserThread(executable)
    try:
        yield thread
    finally:
        thread.close()


def programs_of(names: tuple[str, ...], replaced: Mapping[str, str]) -> dict[str, str]:
    """The programs of these pages by their titles, with addresses and keys of the test in their places."""
    found = {}
    for page in PAGES:
        if page.name in names:
            for fence in fences_of(page):
                text = fence.text
                for old, new in replaced.items():
                    text = text.replace(old, new)
                found[fence.title] = text
    return found
