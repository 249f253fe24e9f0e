"""The primary database, whether it is away, and whether what a query has read may be kept for others."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from django.db import (
    InterfaceError,
    InternalError,
    OperationalError,
    connections,
    router,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Func, Model
from django.db.models.sql.compiler import SQLCompiler


def primary(model: type[Model]) -> str:
    """The alias that writes of this model go to. A router may send other reads to a replica."""
    return router.db_for_write(model)


READ_ONLY: Final = "25006"
"""PostgreSQL's code of a write that a standby refuses, or a server that is read-only."""


TOO_MUCH: Final = "54"
"""PostgreSQL's class of codes for statements that are too long or too deep."""


def _is_an_answer(error: InterfaceError | OperationalError) -> bool:
    """Whether the database did answer, that it does not take such a statement: thousands of words, or a text that
    cannot be a regular expression."""
    cause = error.__cause__
    if isinstance(cause, sqlite3.OperationalError):
        return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
    return str(getattr(cause, "sqlstate", None)).startswith(TOO_MUCH)


def is_away(error: BaseException | None) -> bool:
    """True if the database did not answer, or takes no writes: the primary of before a failover."""
    if isinstance(error, OperationalError | InterfaceError):
        return not _is_an_answer(error)
    if not isinstance(error, InternalError):
        return False
    return getattr(error.__cause__, "sqlstate", None) == READ_ONLY


def in_transaction(using: str) -> bool:
    """Whether Django has a transaction open on this connection."""
    return connections[using].in_atomic_block


class IsCurrent(Func):
    """Whether the query around it sees exactly what was committed when it began, or later.

    True on the primary server, in a transaction that has written nothing so far, if it runs at READ
    COMMITTED or the query is its first statement. Otherwise the rows may be older (a replica, the
    snapshot of a REPEATABLE READ transaction) or may be rolled back, and must not be shared.
    """

    arity = 0
    output_field = BooleanField()

    def as_sql(
        self,
        compiler: SQLCompiler,  # noqa: ARG002 - Django's signature
        connection: BaseDatabaseWrapper,
        *_arguments: Any,
        **_extra: Any,
    ) -> tuple[str, tuple[str | int, ...]]:
        """SQLite: a transaction sees one snapshot, so only a query outside of one is current."""
        raw = connection.connection
        is_open = connection.in_atomic_block or bool(getattr(raw, "in_transaction", False))
        return ("1 = 0" if is_open else "1 = 1"), ()

    def as_postgresql(
        self, _compiler: SQLCompiler, _connection: BaseDatabaseWrapper, **_extra: Any
    ) -> tuple[str, tuple[str | int, ...]]:
        """A sub-query, which the server evaluates once, not for each row."""
        return (
            "(SELECT NOT pg_is_in_recovery() AND txid_current_if_assigned() IS NULL"
            " AND (current_setting('transaction_isolation') LIKE 'read %%'"
            " OR transaction_timestamp() = statement_timestamp()))",
            (),
        )
