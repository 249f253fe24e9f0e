"""A process that asks one address as often as it can, over connections that it keeps.

    python -m tests.benchmarks.callers PORT SECONDS CONNECTIONS < request

Prints one line of JSON: the answers, those that were no 200, and the seconds of each, sorted.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time

HOST = "127.0.0.1"
SHORT = 65_536


class Caller(threading.Thread):
    """One connection, one request at a time."""

    def __init__(self, port: int, until: float, request: bytes) -> None:
        super().__init__(daemon=True)
        self._port, self._until, self._request = port, until, request
        self.seconds: list[float] = []
        self.wrong = 0

    def run(self) -> None:
        connection = socket.create_connection((HOST, self._port))
        while (began := time.perf_counter()) < self._until:
            connection.sendall(self._request)
            head, keeps = self._answer(connection)
            self.seconds.append(time.perf_counter() - began)
            self.wrong += not head.startswith(b"HTTP/1.1 200")
            if not keeps:
                connection.close()
                connection = socket.create_connection((HOST, self._port))
        connection.close()

    @staticmethod
    def _answer(connection: socket.socket) -> tuple[bytes, bool]:
        """The head of one answer, and whether the connection is kept."""
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = connection.recv(SHORT)
            if not chunk:
                return data, False
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        }
        left = int(fields.get(b"content-length", b"0")) - len(body)
        while left > 0:
            left -= len(connection.recv(SHORT))
        return head, fields.get(b"connection", b"").lower() != b"close"


def main(port: int, seconds: float, connections: int) -> None:
    request = sys.stdin.buffer.read()
    until = time.perf_counter() + seconds
    callers = [Caller(port, until, request) for _ in range(connections)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    taken = sorted(each for caller in callers for each in caller.seconds)
    print(
        json.dumps(
            {
                "answers": len(taken),
                "wrong": sum(caller.wrong for caller in callers),
                "p50": taken[len(taken) // 2],
                "p99": taken[int(len(taken) * 0.99)],
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
