"""Django's PostgreSQL backend over a connection that waits no longer than the budget at hand.

A psycopg pool would take such a connection class too, without a backend of our own. It was not
taken: its `getconn` waits for its whole time-out where a killed server refuses at once, and while
the server is known to be silent; and its worker threads live in no forked child.

Outside of requests a query may take hours, so that its silence proves nothing. Another connection is
tried then, now and again: a server that takes none is frozen.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, TypeVar, cast

import psycopg
from django.db import DEFAULT_DB_ALIAS
from django.db.backends.postgresql import base
from psycopg import errors
from psycopg.abc import PQGen, PQGenConn
from psycopg.errors import _WaitTimeout

from featureflags.core.deadlines import Purpose, current_budget
from featureflags.core.names import addresses, is_name
from featureflags.core.outages import DATABASE, Server

Result = TypeVar("Result")
ConnectionT = TypeVar("ConnectionT", bound="DeadlineConnection")

INTERVAL = 0.1
"""psycopg's own: how often a wait looks for Ctrl-C."""
CLOCK_SECONDS = 0.01
"""A look that comes so much too early counts as in time: the next one is `INTERVAL` later."""
PING_SECONDS = 0.1
"""For the first word of a request on a connection that was kept, and for each wait while the server
is known to be silent."""
ADMIN_PING_SECONDS = 0.5
"""The same for a page of the admin, which has nothing to fall back to: a busy machine is not a silent one."""


QUIET_SECONDS = 30.0
"""Where there is no budget: after so long without a byte another connection is tried."""
CONNECT_SECONDS = 30
"""For that connection. Both together are the minute that keep-alive gives a server that is gone."""


class DeadlineConnection(psycopg.Connection[Any]):
    """A connection whose every wait has a deadline, if there is a budget. Then it is closed.

    Without a budget a wait ends where the server takes no other connection either.
    """

    server: ClassVar[Server] = DATABASE
    """Whose outages are counted, and who is not waited for while it is silent."""
    ping = False
    """True while the server is only asked whether it is there."""

    def wait(
        self, gen: PQGen[Result], interval: float = INTERVAL, timeout: float | None = None
    ) -> Result:
        """psycopg's own `wait`. Raises OperationalError at the deadline, or at once while the
        server is silent."""
        server = self.server
        seconds = timeout if timeout is not None else _seconds(server, ping=self.ping)
        if seconds is None:
            return super().wait(self._while_it_is_there(gen), interval)
        # Nearly always there is no outage: then nothing is asked of the breaker.
        if server.outage is not None and not server.may_ask():
            self.pgconn.finish()
            raise _silent(server)
        try:
            found = super().wait(gen, interval, seconds)
        except _WaitTimeout:
            # What the server would say next belongs to nobody.
            self.pgconn.finish()
            server.missed(seconds)
            raise errors.OperationalError(
                f"{server.name} gave no answer within {seconds:.2f} s"
            ) from None
        if server.outage is not None:
            server.answered()
        return found

    def _while_it_is_there(self, gen: PQGen[Result]) -> PQGen[Result]:
        """psycopg's own generator, ended where the server takes no other connection."""
        try:
            wanted = next(gen)
            heard_at = time.monotonic()
            while True:
                ready = yield wanted
                now = time.monotonic()
                if ready:
                    heard_at = now
                elif now - heard_at >= QUIET_SECONDS:
                    self._try_another()
                    heard_at = time.monotonic()
                wanted = gen.send(ready)
        except StopIteration as ended:
            return cast("Result", ended.value)

    def _try_another(self) -> None:
        """Close this connection and raise OperationalError where the server takes no other one."""
        info = self.info
        given: dict[str, Any] = {
            **info.get_parameters(),
            "host": info.host,
            "hostaddr": info.hostaddr,
            "port": info.port,
            "password": info.password,
            "connect_timeout": CONNECT_SECONDS,
        }
        try:
            psycopg.connect(**given).close()
        except errors.ConnectionTimeout:
            self.pgconn.finish()
            seconds = QUIET_SECONDS + CONNECT_SECONDS
            self.server.missed(seconds)
            raise errors.OperationalError(
                f"{self.server.name} gave no answer within {seconds:.2f} s, and took no other connection"
            ) from None
        except psycopg.OperationalError:
            return  # A refusal is an answer: too many connections, another password.

    @classmethod
    def _connect_gen(cls: type[ConnectionT], conninfo: str = "") -> PQGenConn[ConnectionT]:
        """psycopg's own generator, ended at the deadline: libpq knows none below two seconds."""
        seconds = _seconds(cls.server, ping=False)
        over_at = None if seconds is None else time.monotonic() + seconds - CLOCK_SECONDS
        steps = super()._connect_gen(conninfo)
        wanted = next(steps)
        try:
            while True:
                ready = yield wanted
                if seconds and over_at and not ready and time.monotonic() >= over_at:
                    steps.close()
                    cls.server.missed(seconds)
                    raise errors.ConnectionTimeout(
                        f"{cls.server.name} took no connection within {seconds:.2f} s"
                    )
                wanted = steps.send(ready)
        except StopIteration as ended:
            return cast("ConnectionT", ended.value)


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, over `DeadlineConnection`."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> DeadlineConnection:
        """Raises psycopg.OperationalError, at once while the server is silent."""
        connection_class = _class_for(self.alias)
        server = connection_class.server
        if current_budget() is not None:
            if not server.may_ask():
                raise _silent(server)
            _find(conn_params, server)
        try:
            connection = connection_class.connect(**conn_params)
        except psycopg.OperationalError as error:
            if not server.is_silent:
                server.failed(error)
            raise
        server.answered()
        return connection

    def is_usable(self) -> bool:
        """Django's health check of a connection that was kept, which asks for nothing."""
        connection = cast("DeadlineConnection", self.connection)
        connection.ping = True
        try:
            return super().is_usable()
        finally:
            connection.ping = False


@cache
def _class_for(alias: str) -> type[DeadlineConnection]:
    """Of the connections to this database: the primary is still asked while a replica is silent."""
    if alias == DEFAULT_DB_ALIAS:
        return DeadlineConnection
    server = Server(f"PostgreSQL ({alias})")
    return type("DeadlineConnection", (DeadlineConnection,), {"server": server})


def _find(conn_params: Mapping[str, Any], server: Server) -> None:
    """Have the name servers answer in time, before libpq asks them without a deadline."""
    seconds = _seconds(server, ping=False)
    for host in filter(is_name, str(conn_params.get("host") or "").split(",")):
        try:
            addresses(host, None, seconds=seconds or 0.0)
        except TimeoutError as error:
            server.missed(seconds or 0.0)
            raise errors.ConnectionTimeout(f"{server.name} was not found: {error}") from None
        except OSError:
            return  # libpq says it in its own words


def _seconds(server: Server, *, ping: bool) -> float | None:
    """How long the next wait may take; None outside a request."""
    budget = current_budget()
    if budget is None:
        return None
    seconds = budget.database_seconds
    if server.outage is not None and server.is_silent:
        return min(seconds, PING_SECONDS)
    if ping:
        is_admin = budget.purpose is Purpose.ADMIN
        return min(seconds, ADMIN_PING_SECONDS if is_admin else PING_SECONDS)
    return seconds


def _silent(server: Server) -> errors.OperationalError:
    return errors.OperationalError(f"{server.name} is known to be silent: it was not asked")
