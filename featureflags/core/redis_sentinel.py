"""The same connections to a Redis that Sentinel watches: each new one asks Sentinel who is the primary.

    "LOCATION": "redis://mymaster/0",
    "OPTIONS": {**SENTINEL_OPTIONS, "SENTINELS": [("10.0.0.1", 26379), ("10.0.0.2", 26379)]}

The host of the address is the name that Sentinel knows. After a failover the new primary counts as
another cache: see the epoch in ARCHITECTURE.md. Replicas are never asked.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django_redis.pool import SentinelConnectionFactory
from redis.connection import SSLConnection
from redis.sentinel import (
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from featureflags.core.redis_connections import DeadlineConnection, DeadlineSSLConnection

SENTINEL_OPTIONS: Final = {
    "CONNECTION_FACTORY": "featureflags.core.redis_sentinel.SentinelDeadlineFactory",
    "CONNECTION_POOL_CLASS": "featureflags.core.redis_sentinel.SentinelDeadlinePool",
}


class _AsksAnew:
    """redis-py asks Sentinel in `connect`, but sends over a lost connection without it: to the old address."""

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        usual: Any = super()
        connection: Any = self
        if not connection.is_connected:
            connection.connect()
        usual.send_packed_command(command, check_health)


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
