"""A client of a stream of server-sent events, as plain as one can be."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from tests.services.waiting import wait_until


class Reader:
    """Reads the lines of one stream in a thread, each with the moment at which it came."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        self._connection.request("GET", f"{parts.path}?{parts.query}")
        self._socket: socket.socket = self._connection.sock
        self.answer = self._connection.getresponse()
        self.status = self.answer.status
        self.lines: list[tuple[float, str]] = []
        self.has_ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def messages(self) -> list[float]:
        """When the client was asked to ask again, in seconds on the monotonic clock."""
        return [at for at, line in self.lines if line.startswith("data: ")]

    def _read(self) -> None:
        try:
            while line := self.answer.readline():
                self.lines.append((time.monotonic(), line.decode().rstrip("\n")))
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass
        finally:
            self.has_ended.set()

    def wait_for(self, number: int) -> float:
        """The moment of the message of this number, counted from 1."""
        wait_until(lambda: len(self.messages) >= number, what="a message")
        return self.messages[number - 1]

    def wait_for_one_after(self, moment: float) -> None:
        """Wait for a message that comes at this moment of the monotonic clock, or later."""
        wait_until(lambda: max(self.messages, default=0.0) >= moment, what="a later message")

    def close(self) -> None:
        # The thread holds the lock of what it reads: end that first.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._connection.close()


@contextlib.contextmanager
def reading(url: str) -> Iterator[Reader]:
    reader = Reader(url)
    try:
        yield reader
    finally:
        reader.close()
