"""Commands that Redis is told at once, and whose answers are awaited later.

Reads go over a connection that their thread keeps, at half the price of one that is borrowed from
the pool; where that one is waiting for an answer already, and for writes, one is borrowed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar, cast

from redis import ConnectionPool, Redis
from redis.exceptions import ConnectionError as RedisConnectionError

Answer = TypeVar("Answer")


class Lease(Protocol):
    """A connection while it is ours."""

    connection: Any
    """redis-py's, which connects by itself when something is sent over it."""
    may_be_stale: bool
    """Nobody has looked whether the server has closed it meanwhile."""

    def release(self) -> None: ...


class Borrowed:
    """A connection of the pool, which looks whether it still lives before it lends it."""

    may_be_stale = False

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self.connection: Any = pool.get_connection()

    def release(self) -> None:
        self._pool.release(self.connection)


class Kept:
    """A connection that belongs to one thread until the thread ends."""

    may_be_stale = True

    def __init__(self, client: Redis) -> None:
        # It gives the connection back to the pool when it is collected.
        self._client: Any = client.client()  # type: ignore[no-untyped-call]
        self.connection: Any = self._client.connection
        self.is_free = True

    def release(self) -> None:
        self.is_free = True


class Sent(Generic[Answer]):
    """Commands that Redis is at, on a connection of their own until `result` or `close`."""

    __slots__ = ("_as_answer", "_calls", "_lease")

    def __init__(
        self,
        lease: Lease,
        calls: Sequence[Sequence[Any]],
        as_answer: Callable[[list[Any]], Answer],
    ) -> None:
        self._lease: Lease | None = lease
        self._calls = calls
        self._as_answer = as_answer
        try:
            self._send(lease)
        except BaseException:
            self.close()
            raise

    def result(self) -> Answer:
        """Wait for the answers. Raises redis.RedisError."""
        lease = cast("Lease", self._lease)
        try:
            answers = self._read(lease)
        except BaseException:
            self.close()
            raise
        self._lease = None
        lease.release()
        return self._as_answer(answers)

    def close(self) -> None:
        """Want no answer any more; after `result`: nothing."""
        lease, self._lease = self._lease, None
        if lease is not None:
            # What it would say next is not for whoever takes it next.
            lease.connection.disconnect()
            lease.release()

    def _send(self, lease: Lease) -> None:
        try:
            self._tell(lease)
        except RedisConnectionError:
            if not lease.may_be_stale:
                raise
            self._tell(lease)

    def _tell(self, lease: Lease) -> None:
        for call in self._calls:
            # One command at a time: none of them is packed while Redis has nothing to do.
            lease.connection.send_command(*call)

    def _read(self, lease: Lease) -> list[Any]:
        read = lease.connection.read_response
        try:
            return [read() for _ in self._calls]
        except RedisConnectionError:
            if not lease.may_be_stale:
                raise
            # Closed while it was idle, or just now: once more, on a new one.
            lease.connection.disconnect()
            self._tell(lease)
            return [read() for _ in self._calls]


_of_this_thread = threading.local()


def lease_for_reads(client: Redis) -> Lease:
    """This thread's own connection, if it is free, else one of the pool."""
    pid = os.getpid()
    all_kept: dict[ConnectionPool, Kept] = _of_this_thread.__dict__.setdefault("kept", {})
    if _of_this_thread.__dict__.get("pid") != pid:
        # The sockets of a forked child are its parent's.
        all_kept.clear()
        _of_this_thread.pid = pid
    kept = all_kept.get(client.connection_pool)
    if kept is None:
        kept = all_kept[client.connection_pool] = Kept(client)
    if not kept.is_free:
        return Borrowed(client.connection_pool)
    kept.is_free = False
    return kept
