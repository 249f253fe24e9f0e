"""django-redis with the steps of the cache protocol, and a fast read.

Every condition is checked in the script that writes, so a process may be paused anywhere. The
scripts need no command newer than Redis 6.0 (KEEPTTL); `SET … NX GET` would need Redis 7.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any, Final, TypeVar

from django_redis.cache import RedisCache
from django_redis.serializers.base import BaseSerializer
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from featureflags.cache.backends.protocol import DELIVERED, Swaps
from featureflags.cache.backends.redis_pipeline import (
    Borrowed,
    FastReads,
    Sent,
    connection_for_reads,
    has_connection,
    new_connection,
)

LEASE: Final = """
local found = {}
for i, key in ipairs(KEYS) do
    found[i] = redis.call('GET', key)
    if not found[i] then
        redis.call('SET', key, ARGV[1], 'PX', ARGV[2])
        found[i] = ARGV[1]
    end
end
return found
"""

SWAP: Final = """
local written = 0
for i, key in ipairs(KEYS) do
    if redis.call('GET', key) == ARGV[1 + i] then
        redis.call('SET', key, ARGV[1 + #KEYS + i], 'PX', ARGV[1])
        written = written + 1
    end
end
return written
"""

PUBLISH: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
    return 1
end
return 0
"""

TAKE: Final = """
local ids = redis.call('LRANGE', KEYS[1], 0, -1)
redis.call('DEL', KEYS[1])
return ids
"""

AT_ONCE: Final = 500
"""Names of one script or UNLINK, which Redis works on without a break: others wait for 2 ms."""

IDENTITY: Final = (["INFO", "server"], ["INFO", "replication"])
"""`INFO server replication` in one command needs Redis 7."""
RUN_ID: Final = re.compile(rb"^run_id:(\w+)", re.MULTILINE)
REPLICATION_ID: Final = re.compile(rb"^master_replid:(\w+)", re.MULTILINE)

TIMEOUT_SECONDS: Final = 0.5
"""For each call where no request waits. A request has a budget: see `featureflags.core.deadlines`."""

OPTIONS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "SERIALIZER": "featureflags.cache.backends.redis.BytesSerializer",
        # Our store wants to know of a failure, whatever DJANGO_REDIS_IGNORE_EXCEPTIONS says.
        "IGNORE_EXCEPTIONS": False,
        "CONNECTION_FACTORY": "featureflags.core.redis_connections.DeadlineFactory",
        "CONNECTION_POOL_CLASS": "featureflags.core.redis_connections.DeadlinePool",
        # One new try at once heals a connection that Redis dropped; more only wait.
        "CONNECTION_POOL_KWARGS": {"retry": Retry(NoBackoff(), 1)},
        "SOCKET_CONNECT_TIMEOUT": TIMEOUT_SECONDS,
        "SOCKET_TIMEOUT": TIMEOUT_SECONDS,
    }
)
"""What the `OPTIONS` of the cache alias need not repeat."""

Value = TypeVar("Value")


class SharedRedisCache(FastReads, RedisCache):  # type: ignore[misc]  # django-redis' base is untyped here
    """django-redis' backend with `SharedCache`. Its steps raise redis.RedisError, always.

    Bytes are written as they are: the cache's serializer is `BytesSerializer`. All commands go to the
    primary server. A cache alias needs no more than this class and a `LOCATION`; see `OPTIONS`.
    """

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, {**params, "OPTIONS": {**OPTIONS, **params.get("OPTIONS", {})}})

    def send_read(
        self, names: Sequence[str], to_lease: Sequence[str], lease: bytes, seconds: float
    ) -> Sent[list[bytes | None]]:
        commands = [["MGET", *self.names(names)]] if names else []
        return self._read([*commands, *self._leases(to_lease, lease, seconds)], _flat)

    def lease_and_identify(self, name: str, lease: bytes, seconds: float) -> tuple[bytes, str]:
        def parts(replies: list[Any]) -> tuple[bytes, str]:
            return replies[-1][0], _identity(replies[:-1])

        return self._read([*IDENTITY, *self._leases([name], lease, seconds)], parts).result()

    def send_swap(self, swaps: Swaps, seconds: float) -> Sent[int]:
        kept = _milliseconds(seconds)
        commands: list[list[Any]] = []
        for chunk in _chunks(swaps.items()):
            names = self.names([name for name, _ in chunk])
            seen, new = [pair[0] for _, pair in chunk], [pair[1] for _, pair in chunk]
            commands.append(["EVAL", SWAP, len(names), *names, kept, *seen, *new])
        return self._write(commands, sum)

    def publish(self, name: str, seen: bytes, new: bytes) -> bool:
        command = ["EVAL", PUBLISH, 1, *self.names([name]), seen, new]
        return self._write([command], lambda replies: bool(replies[0])).result()

    def remove(self, names: Collection[str], delivered: Collection[int] = ()) -> int:
        # Sent once more where the server has closed the connection: that does no harm.
        chunks = [names] if 0 < len(names) <= AT_ONCE else _chunks(names)
        commands: list[list[Any]] = [["UNLINK", *self.names(chunk)] for chunk in chunks]
        if delivered:
            commands.append(["RPUSH", *self.names([DELIVERED]), *delivered])
        return self._read(commands, _kept if delivered else _none).result()

    def take_delivered(self) -> tuple[list[int], str]:
        def parts(replies: list[Any]) -> tuple[list[int], str]:
            return [int(each) for each in replies[0]], _identity(replies[1:])

        take = ["EVAL", TAKE, 1, *self.names([DELIVERED])]
        return self._read([take, *IDENTITY], parts).result()

    def facts(self) -> dict[str, str]:
        """What the server says of itself (INFO), by its own names."""
        reply: bytes = self._write([["INFO"]], _only).result()
        pairs = (line.partition(":") for line in reply.decode(errors="replace").splitlines())
        return {name: value for name, colon, value in pairs if colon}

    def has_connection(self) -> bool:
        return has_connection(self.client.get_client(write=True).connection_pool)

    def new_connection(self) -> Callable[[], None]:
        return new_connection(self.client.get_client(write=True))

    def replace(self, key: str, old: bytes, new: bytes, timeout: float) -> bool:
        """Write `new` for `timeout` seconds, but only where `old` is stored now. Atomic."""
        return bool(self.send_swap({key: (old, new)}, timeout).result())

    def _read(
        self, commands: list[list[Any]], as_value: Callable[[list[Any]], Value]
    ) -> Sent[Value]:
        return Sent(connection_for_reads(self.client.get_client(write=True)), commands, as_value)

    def _write(
        self, commands: list[list[Any]], as_value: Callable[[list[Any]], Value]
    ) -> Sent[Value]:
        pool = self.client.get_client(write=True).connection_pool
        return Sent(Borrowed(pool), commands, as_value)

    def _leases(self, names: Sequence[str], lease: bytes, seconds: float) -> list[list[Any]]:
        kept = _milliseconds(seconds)
        return [
            ["EVAL", LEASE, len(chunk), *self.names(chunk), lease, kept] for chunk in _chunks(names)
        ]


def _flat(replies: list[Any]) -> list[bytes | None]:
    if len(replies) == 1:
        found: list[bytes | None] = replies[0]
        return found
    return [value for reply in replies for value in reply]


def _only(replies: list[Any]) -> Any:
    return replies[0]


def _kept(replies: list[Any]) -> int:
    return int(replies[-1])


def _none(_replies: list[Any]) -> int:
    return 0


def _identity(replies: list[Any]) -> str:
    """Which Redis it is, and since when: both change with a restart or a failover."""
    text = b"\n".join(replies)
    run, replication = RUN_ID.search(text), REPLICATION_ID.search(text)
    if run is None or replication is None:
        raise RedisError("INFO names no run_id and master_replid: this server cannot be identified")
    return f"{run[1].decode()}:{replication[1].decode()}"


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


def _chunks(items: Collection[Value]) -> Iterator[list[Value]]:
    """`AT_ONCE` items at a time."""
    rest = iter(items)
    while chunk := list(islice(rest, AT_ONCE)):
        yield chunk


class BytesSerializer(BaseSerializer):  # type: ignore[misc]  # django-redis' base is untyped here
    """Bytes as they are: what we store is encoded already."""

    def dumps(self, value: Any) -> bytes:
        if not isinstance(value, bytes):
            raise TypeError(f"This cache holds bytes, not {type(value).__name__}.")
        return value

    def loads(self, value: bytes) -> bytes:
        return value
