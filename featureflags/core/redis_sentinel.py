"""The same connections to a Redis that Sentinel watches: each new one asks Sentinel who is the primary.

    "LOCATION": "redis://mymaster/0",
    "OPTIONS": {**SENTINEL_OPTIONS, "SENTINELS": [("10.0.0.1", 26379), ("10.0.0.2", 26379)]}

The host of the address is the name that Sentinel knows. After a failover the new primary counts as
another cache: see the epoch in ARCHITECTURE.md. Replicas are never asked.

A Sentinel may be killed or frozen as any server: each has a breaker of its own and a part of the request's
budget, and the one that answered last is asked first. redis-py's own would try each of them four times,
with pauses of seconds, for each new connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from django_redis.pool import SentinelConnectionFactory
from redis.backoff import NoBackoff
from redis.connection import SSLConnection
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.sentinel import (
    MasterNotFoundError,
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from featureflags.core.deadlines import current_budget
from featureflags.core.outages import REDIS, Server
from featureflags.core.redis_connections import DeadlineConnection, DeadlineSSLConnection

SENTINEL_OPTIONS: Final = {
    "CONNECTION_FACTORY": "featureflags.core.redis_sentinel.SentinelDeadlineFactory",
    "CONNECTION_POOL_CLASS": "featureflags.core.redis_sentinel.SentinelDeadlinePool",
}


_servers: dict[str, Server] = {}
"""Each Sentinel of this process once, by host and port: the caches share what is known of it."""


class _OfSentinel:
    """A connection to a Sentinel itself."""

    def __init__(self, **options: Any) -> None:
        name = f"Sentinel {options.get('host')}:{options.get('port')}"
        self.server = _servers.setdefault(name, Server(name))
        super().__init__(**options)


class SentinelConnection(_OfSentinel, DeadlineConnection):
    """Over TCP."""


class SentinelSSLConnection(_OfSentinel, DeadlineSSLConnection):
    """Over TLS."""


class Sentinels(Sentinel):
    """redis-py's, with deadlines: see above."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]  # of redis-py
        for client in self.sentinels:
            client.set_retry(Retry(NoBackoff(), 0))
            pool = client.connection_pool
            is_tls = issubclass(pool.connection_class, SSLConnection)
            pool.connection_class = SentinelSSLConnection if is_tls else SentinelConnection

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """Host and port. Raises TimeoutError of redis-py where a Sentinel was waited for in vain and no other
        knows, else MasterNotFoundError."""
        problem: RedisError = MasterNotFoundError(f"No Sentinel knows {service_name!r}.")
        for asked, client in enumerate(sentinels := tuple(self.sentinels)):
            try:
                # One part is for the primary.
                with _one_part_of(len(sentinels) - asked + 1):
                    known: Any = client.sentinel_masters()
                    found = known.get(service_name)
            except RedisTimeoutError as error:
                problem = error
            except RedisError:
                continue
            else:
                if found and self.check_master_state(found, service_name):  # type: ignore[no-untyped-call]
                    self.sentinels = [client, *(each for each in sentinels if each is not client)]
                    return found["ip"], found["port"]
        if not REDIS.is_silent:
            REDIS.failed(problem)
        raise problem


@contextmanager
def _one_part_of(parts: int) -> Iterator[None]:
    """What follows may spend one of so many parts of the budget for Redis."""
    budget = current_budget()
    if budget is None:
        yield
        return
    rest = max(0.0, budget.redis_seconds) * (parts - 1) / parts
    budget.redis_seconds -= rest
    try:
        yield
    finally:
        budget.redis_seconds += rest


class _AsksAnew:
    """redis-py asks Sentinel in `connect`, but sends over a lost connection without it: to the old address."""

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        usual: Any = super()
        connection: Any = self
        if not connection.is_connected:
            connection.connect()
        usual.send_packed_command(command, check_health)

    def connect(self) -> None:
        """Ask Sentinel, and connect. Raises TimeoutError at once while the primary, or every Sentinel, is silent."""
        usual: Any = super()
        connection: Any = self
        if connection.is_connected:
            return
        connection._ask()  # noqa: SLF001 - of our own connection
        try:
            usual.connect()
        except BaseException:
            connection.is_probe = False
            raise


class WatchedConnection(_AsksAnew, SentinelManagedConnection, DeadlineConnection):
    """Over TCP."""


class WatchedSSLConnection(_AsksAnew, SentinelManagedSSLConnection, DeadlineSSLConnection):
    """Over TLS (`rediss://`)."""


class SentinelDeadlinePool(SentinelConnectionPool):
    """redis-py's pool of such connections."""

    def __init__(self, service_name: str, sentinel_manager: Any, **options: Any) -> None:
        is_tls = options.get("connection_class") is SSLConnection
        options["connection_class"] = WatchedSSLConnection if is_tls else WatchedConnection
        super().__init__(service_name, sentinel_manager, **options)  # type: ignore[no-untyped-call]  # of redis-py


class SentinelDeadlineFactory(SentinelConnectionFactory):  # type: ignore[misc]  # django-redis has no types
    """With pools of their own, as `DeadlineFactory` has."""

    _pools: ClassVar[dict[str, Any]] = {}

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        # As django-redis makes its own, which cannot be given.
        connection = self.make_connection_params("")
        connection.pop("url")
        connection.update(self.pool_cls_kwargs)
        given = options.get("SENTINEL_KWARGS")
        self._sentinel = Sentinels(options["SENTINELS"], sentinel_kwargs=given, **connection)
