"""Something that accepts connections and never answers, as a stopped server does: the kernel takes them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.services.guarded import HOST


class Silent:
    """A port of loopback."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.port: int = listener.getsockname()[1]
        self._taken: list[socket.socket] = []

    def connections(self) -> int:
        """How many there were so far."""
        self._listener.setblocking(False)
        try:
            while True:
                self._taken.append(self._listener.accept()[0])
        except BlockingIOError:
            return len(self._taken)

    def close(self) -> None:
        for each in (*self._taken, self._listener):
            each.close()


@contextmanager
def silent() -> Iterator[Silent]:
    """Closed with the context."""
    made = Silent(socket.create_server((HOST, 0), backlog=64))
    try:
        yield made
    finally:
        made.close()
