"""Listens to each database connection on the level of the driver: every way of writing passes there.

* psycopg: the trigger's INFO arrives in a notice handler, also for COPY, pipelines, procedures and
  deferred triggers. Each statement ends with the release of the connection's lock (COPY: with a
  wait outside of it): if the server is idle then, the transaction has ended, however it was begun.
* SQLite and any other: an execute wrapper and the connection's `commit`. SQLite's
  `total_changes` says whether a statement wrote; what changed is read from the outbox.

In: connections. Out: `featureflags.capture.own_writes` holds what each has written. Where no trigger
notices a write, the application calls `note` or `note_rules`.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any, Final

import msgspec
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from featureflags.capture.own_writes import LISTENER, Listener, Written, listener_of
from featureflags.capture.postgresql import NOTICE
from featureflags.capture.statements import OUTBOX, quote
from featureflags.core.monitoring import report

try:
    import psycopg
    from psycopg.pq import TransactionStatus
except ImportError:  # a project on SQLite alone
    HAS_PSYCOPG = False
else:
    HAS_PSYCOPG = True

logger = logging.getLogger(__name__)

ROWS_AT_ONCE: Final = 100
"""SQLite: outbox rows that are read after a statement. Of more than these only their number counts."""
ROWS: Final = f"SELECT id, kind, keys FROM {quote(OUTBOX)} ORDER BY id LIMIT {ROWS_AT_ONCE}"
"""All of them: ids come again after a savepoint was rolled back, and those of others do no harm."""


def attach(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Listen to a connection; a receiver of `connection_created`. Again for the same one: nothing."""
    raw = connection.connection
    if HAS_PSYCOPG and isinstance(raw, psycopg.Connection):
        # A pool lends one connection many times.
        listener = raw.__dict__.get(LISTENER)
        if listener is None:
            _PsycopgListener(raw, connection.alias).attach()
        else:
            listener.alias = connection.alias
    else:
        listener = connection.__dict__.get(LISTENER)
        if listener is None:
            listener = connection.__dict__[LISTENER] = _DjangoListener(connection)
            listener.attach()
        listener.begin()


def note(using: str, kind: str, keys: Iterable[str] | None, rows: Iterable[int]) -> None:
    """Where no trigger notices it: these keys were written (None: all), and are in these rows."""
    listener = _attached(connections[using])
    if listener is not None:
        listener.note(kind, None if keys is None else list(keys), list(rows))
        listener.settle()


def note_rules(using: str) -> None:
    """Where no trigger notices it: segments or members were written by the statement before."""
    listener = _attached(connections[using])
    if listener is not None:
        listener.note(None, None, [])
        listener.settle()


def _attached(connection: BaseDatabaseWrapper) -> Listener | None:
    """The listener of this thread's connection, attached if it had none; None where it is closed."""
    if connection.connection is not None and listener_of(connection) is None:
        attach(connection)
    return listener_of(connection)


class _ListeningLock:
    """psycopg's lock of a connection; calls a function when it was released."""

    def __init__(self, lock: Any, released: Callable[[], None]) -> None:
        self._lock = lock
        self._released = released
        self.acquire, self.locked = lock.acquire, lock.locked

    def release(self) -> None:
        self._lock.release()
        self._released()

    def __enter__(self) -> bool:
        return bool(self._lock.acquire())

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._lock.release()
        self._released()


class _Notice(msgspec.Struct, frozen=True):
    """What the INFO of a trigger holds. Without a kind: rules were written."""

    kind: str | None = None
    keys: list[str] | None = None
    ids: list[int] = []
    failed: str | None = None


_as_notice = msgspec.json.Decoder(_Notice).decode


class _PsycopgListener(Listener):
    """Listens to one connection of psycopg."""

    def __init__(self, raw: psycopg.Connection[Any], alias: str) -> None:
        super().__init__(alias)
        self._raw = raw
        self._wait = raw.wait
        self._rollback = raw.rollback

    def attach(self) -> None:
        raw = self._raw
        raw.add_notice_handler(self._hear)
        # Attributes of this one connection, in the place of its class' own.
        raw.__dict__[LISTENER] = self
        raw.__dict__["lock"] = _ListeningLock(raw.lock, self._released)
        raw.__dict__["wait"] = self._wait_and_settle
        raw.__dict__["rollback"] = self._roll_back

    def is_idle(self) -> bool:
        raw = self._raw
        in_pipeline = raw.__dict__.get("_pipeline") is not None
        return raw.pgconn.transaction_status == TransactionStatus.IDLE and not in_pipeline

    def end_notifying(self) -> None:
        if self._raw.pgconn.transaction_status == TransactionStatus.INTRANS:
            self._raw.commit()
        elif self._raw.pgconn.transaction_status == TransactionStatus.INERROR:
            self._rollback()

    def _released(self) -> None:
        if self.written is not None:
            self.settle()

    def _wait_and_settle(self, *arguments: Any, **options: Any) -> Any:
        result = self._wait(*arguments, **options)
        # COPY ends without the lock; the thread that holds it settles when it releases it.
        if self.written is not None and not self._raw.lock.locked():
            self.settle()
        return result

    def _roll_back(self) -> None:
        self.forget()
        self._rollback()

    def _hear(self, notice: psycopg.errors.Diagnostic) -> None:
        message = notice.message_primary or ""
        if not message.startswith(NOTICE):
            return
        written = _as_notice(message[len(NOTICE) :])
        if written.failed:
            report(
                logger,
                "capture_comparison_failed",
                "A trigger could not compare rows, and everybody counts as changed: %s",
                written.failed,
            )
        self.note(written.kind, written.keys, written.ids)


FETCHES: Final = ("fetchone", "fetchmany", "fetchall")


def _finish(cursor: Any) -> None:
    """Read all rows of a statement now, and keep them for the caller that fetches them.

    SQLite commits `INSERT … RETURNING` only when its rows were read. Until then no other statement may
    commit, and one that tries rolls the INSERT back.
    """
    rows = iter(cursor.cursor.fetchall())
    kept = (
        lambda: next(rows, None),
        lambda size=cursor.cursor.arraysize: list(islice(rows, size)),
        lambda: list(rows),
    )
    cursor.__dict__.update(zip(FETCHES, kept, strict=True))


class _DjangoListener(Listener):
    """Listens to a connection by Django's own means."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection.alias)
        self._connection = connection
        self._seen_changes = 0
        self._heeded: frozenset[int] = frozenset()
        """Rows of the outbox that are no news. They stay until the next renewal, and each look reads them."""

    def attach(self) -> None:
        connection = self._connection
        # Another `execute_wrapper()` block may be open, and takes the last one away when it ends.
        connection.execute_wrappers.insert(0, self._execute)
        connection.__dict__["commit"] = partial(self._commit, connection.commit)
        connection.__dict__["rollback"] = partial(self._roll_back, connection.rollback)

    def begin(self) -> None:
        """A new connection of the driver counts anew."""
        self.forget()
        self._seen_changes = 0

    def is_idle(self) -> bool:
        connection = self._connection
        if isinstance(connection.connection, sqlite3.Connection):
            return not connection.connection.in_transaction
        return not connection.in_atomic_block and connection.get_autocommit()

    def _execute(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        cursor = context["cursor"]
        for name in FETCHES:
            cursor.__dict__.pop(name, None)
        result = execute(sql, params, many, context)
        on_sqlite = isinstance(self._connection.connection, sqlite3.Connection)
        if on_sqlite and "RETURNING" in sql.upper():
            _finish(cursor)
        self._look()
        if self.written is not None:
            self.settle()
        return result

    def _commit(self, commit: Callable[[], None]) -> None:
        commit()
        self._look()
        self.settle()

    def _roll_back(self, roll_back: Callable[[], None]) -> None:
        self.forget()
        roll_back()

    def heed(self, done: Written) -> None:
        self._heeded |= {*done.rows, *done.unread}

    def _look(self) -> None:
        """Read from the outbox what the statement before has changed."""
        raw = self._connection.connection
        if not isinstance(raw, sqlite3.Connection) or raw.total_changes == self._seen_changes:
            return
        self._seen_changes = raw.total_changes
        try:
            rows = raw.execute(ROWS).fetchall()
        except sqlite3.OperationalError:
            return  # There is no outbox, as before `migrate`.
        self._heeded &= {number for number, _, _ in rows}
        for number, kind, keys in rows:
            if number not in self._heeded:
                self.note(kind, None if keys is None else json.loads(keys), [number])
        if len(rows) == ROWS_AT_ONCE and self.written is not None:
            self.written.many = True
