"""Connections to Redis that share one budget of waiting for each request, whatever cache they serve.

    "OPTIONS": {"CONNECTION_POOL_CLASS": "featureflags.core.redis_connections.DeadlinePool"}

A time-out for each call and each retry adds up: ten calls of half a second are five seconds. Here a
request has one budget for all its calls, and once a call has missed its deadline the next ones fail
at once, until Redis answers again.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar, Final

from django_redis.pool import ConnectionFactory
from redis import ConnectionPool
from redis.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from featureflags.core.deadlines import current_budget
from featureflags.core.names import addresses, is_name
from featureflags.core.outages import REDIS, Server

SHORTEST_SECONDS: Final = 0.001
"""A socket's time-out of 0 would mean "do not block"."""
LARGE_BYTES: Final = 65_536
"""What is smaller fits into the buffers of a socket: to send it waits for nobody."""


class _Deadlines(AbstractConnection):
    """What each of redis-py's connections gets beside its own."""

    server: Server = REDIS
    """Whose outages are counted, and who is not waited for while it is silent."""
    is_probe = False
    """True from the first word to a silent Redis until its answer: its steps are let through."""

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Raises TimeoutError at once while Redis is silent, and for a large command when the budget is spent."""
        self._ask()
        usual: Any = super()
        budget = current_budget()
        sock: Any = self._sock
        if budget is None or sock is None or _is_small(command):
            usual.send_packed_command(command, check_health)
            return
        began = time.monotonic()
        sock.settimeout(max(SHORTEST_SECONDS, budget.redis_seconds))
        try:
            usual.send_packed_command(command, check_health)
        except RedisTimeoutError:
            self._missed(began)
            raise
        else:
            sock.settimeout(self.socket_timeout)
        finally:
            budget.redis_seconds -= time.monotonic() - began

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """The answer. Raises TimeoutError when the budget of the request at hand is spent."""
        began = time.monotonic()
        budget = current_budget()
        if budget is not None:
            kwargs["timeout"] = max(SHORTEST_SECONDS, budget.redis_seconds)
        try:
            answer = super().read_response(*args, **kwargs)
        except RedisTimeoutError:
            self._missed(began)
            raise
        finally:
            self.is_probe = False
            if budget is not None:
                budget.redis_seconds -= time.monotonic() - began
        if self.server.outage is not None:
            self.server.answered()
        return answer

    def _connect(self) -> Any:
        """redis-py's own step from a name to a socket (and through TLS), within the budget."""
        self._ask()
        began = time.monotonic()
        usual: Any = super()
        budget, usually = current_budget(), (self.socket_connect_timeout, self.socket_timeout)
        seconds = self.socket_connect_timeout
        if budget is not None:
            seconds = max(SHORTEST_SECONDS, budget.redis_seconds)
        try:
            # None where Redis is a Unix socket.
            host = str(getattr(self, "host", None) or "")
            if seconds is not None and is_name(host):
                # redis-py asks the name servers without a time-out, and tries each address for the whole of it.
                seconds /= max(1, len(addresses(host, None, seconds=seconds)))
            if budget is not None:
                # The second one is for the handshake of TLS.
                self.socket_connect_timeout = self.socket_timeout = seconds
            sock = usual._connect()  # noqa: SLF001 - the step of redis-py that this one wraps
            sock.settimeout(usually[1])
        except TimeoutError:
            self._missed(began)
            raise
        except OSError as error:
            self.is_probe = False
            if not self.server.is_silent:
                self.server.failed(error)
            raise
        else:
            return sock
        finally:
            self.socket_connect_timeout, self.socket_timeout = usually
            if budget is not None:
                budget.redis_seconds -= time.monotonic() - began

    def _ask(self) -> None:
        server = self.server
        if server.outage is not None and not self.is_probe and server.is_silent:
            if not server.may_ask():
                raise RedisTimeoutError(f"{server.name} is known to be silent: it was not asked")
            self.is_probe = True

    def _missed(self, began: float) -> None:
        self.is_probe = False
        self.server.missed(time.monotonic() - began)


def _is_small(command: Any) -> bool:
    """Whether the packed command, one text or parts, is less than LARGE_BYTES."""
    parts = (command,) if isinstance(command, str | bytes) else command
    return sum(map(len, parts)) < LARGE_BYTES


class DeadlineConnection(_Deadlines, Connection):
    """Over TCP."""


class DeadlineSSLConnection(_Deadlines, SSLConnection):
    """Over TLS."""


class DeadlineUnixConnection(_Deadlines, UnixDomainSocketConnection):
    """Over a Unix socket."""

    port = None
    """redis-py (8.1) reads it where a connection is late, and has none: an AttributeError instead of a time-out."""


_GUARDED: Final[dict[type, type]] = {
    Connection: DeadlineConnection,
    SSLConnection: DeadlineSSLConnection,
    UnixDomainSocketConnection: DeadlineUnixConnection,
}


class DeadlinePool(ConnectionPool):
    """redis-py's pool of such connections, of the kind that the address asks for."""

    def __init__(self, connection_class: type = Connection, **kwargs: Any) -> None:
        super().__init__(
            connection_class=_GUARDED.get(connection_class, connection_class), **kwargs
        )


class DeadlineFactory(ConnectionFactory):  # type: ignore[misc]  # django-redis has no types
    """django-redis keeps one pool for each address, of the class that its first user wants. These are
    apart from those of a project's own caches in the same Redis."""

    _pools: ClassVar[dict[str, Any]] = {}
