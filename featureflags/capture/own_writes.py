"""What each database connection of this process has written and not yet told the cache.

    UPDATE users_user …     the triggers say what changed     → noted
    any read meanwhile      `written(using)` is not None      → goes past the cache
    COMMIT                  the connection is idle again      → `on_commit` tells the cache
    ROLLBACK                                                  → forgotten

It takes part on the level of the driver, so that no way of writing goes past it:

* psycopg: the trigger's INFO arrives in a notice handler, also for COPY, pipelines, procedures and
  deferred triggers. Each statement ends with the release of the connection's lock (COPY: with a
  wait outside of it): if the server is idle then, the transaction has ended, however it was begun.
* SQLite and any other: an execute wrapper and the connection's `commit`. SQLite's
  `total_changes` says whether a statement wrote; what changed is read from the outbox.

A test in Django's TestCase never commits: nothing is told, and its reads go past the cache until
it is rolled back.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Final, TypeAlias
from weakref import WeakSet

import psycopg
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import TransactionStatus

from featureflags.capture.postgresql import NOTICE
from featureflags.capture.statements import OUTBOX, RULES, quote
from featureflags.core.monitoring import report

logger = logging.getLogger(__name__)

ROWS_AT_ONCE: Final = 100
"""SQLite: outbox rows that are read after a statement. Of more than these only their number counts."""
ROWS: Final = f"SELECT id, kind, keys FROM {quote(OUTBOX)} ORDER BY id LIMIT {ROWS_AT_ONCE}"
"""All of them: ids come again after a savepoint was rolled back, and those of others do no harm."""


@dataclass(slots=True, kw_only=True)
class Written:
    """What a connection has written since it was last idle."""

    keys: dict[str, set[str]] = field(default_factory=dict)
    """Changed keys, by kind."""
    rows: list[int] = field(default_factory=list)
    """The outbox rows that hold just these keys."""
    unread: list[int] = field(default_factory=list)
    """Outbox rows whose keys are only there: there are many, or everybody has changed."""
    rules: bool = False
    """Segments or members have changed."""
    many: bool = False
    """SQLite: there are so many rows that their ids are not known."""


Noted: TypeAlias = Callable[[str | None, Iterable[str] | None], None]
"""Called within the statement, may do no I/O: kind and keys. No keys: everybody; no kind: rules."""
Committed: TypeAlias = Callable[[str, Written], None]
"""Called after the commit with the alias. May query; Django's autocommit may be off."""

_noted: list[Noted] = []
_committed: list[Committed] = []


def listen(*, noted: Noted, committed: Committed) -> None:
    """Have these called. The cache does so once."""
    _noted[:] = [noted]
    _committed[:] = [committed]


def is_writing() -> bool:
    """Whether a connection of this thread has written and not committed what a cache holds."""
    return bool(_writing) and any(
        _ear(connection) in _writing for connection in connections.all(initialized_only=True)
    )


def written(using: str) -> Written | None:
    """What this thread's connection has written and not committed; None: nothing."""
    ear = _ear(connections[using])
    return ear.written if ear is not None else None


def note(using: str, kind: str, keys: Iterable[str] | None, rows: Iterable[int]) -> None:
    """Where no trigger notices it: these keys were written (None: all), and are in these rows."""
    ear = _ear(connections[using], attach_it=True)
    if ear is not None:
        ear.note(kind, None if keys is None else list(keys), list(rows))
        ear.settle()


def note_rules(using: str) -> None:
    """Where no trigger notices it: segments or members were written by the statement before."""
    ear = _ear(connections[using], attach_it=True)
    if ear is not None:
        ear.note(None, None, [])
        ear.settle()


def attach(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Listen to a connection; a receiver of `connection_created`. Again for the same one: nothing."""
    raw = connection.connection
    if isinstance(raw, psycopg.Connection):
        # A pool lends one connection many times.
        ear = raw.__dict__.get(EAR)
        if ear is None:
            _PsycopgEar(raw, connection.alias).attach()
        else:
            ear.alias = connection.alias
    else:
        ear = connection.__dict__.get(EAR)
        if ear is None:
            ear = connection.__dict__[EAR] = _DjangoEar(connection)
            ear.attach()
        ear.begin()


EAR: Final = "_guidon_ear"


class _Ear:
    """Of one connection: collects what it writes, and tells it once the connection is idle."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.written: Written | None = None
        self._is_telling = False

    def is_idle(self) -> bool:
        """Whether no transaction is open, and a query may be sent."""
        raise NotImplementedError

    def end_telling(self) -> None:
        """Leave the connection as idle as it was."""

    def note(self, kind: str | None, keys: list[str] | None, rows: list[int]) -> None:
        written = self.written = self.written or Written()
        _writing.add(self)
        if kind is None or kind == RULES:
            written.rules = True
            written.rows += rows
        elif keys is None:
            written.unread += rows
        else:
            written.keys.setdefault(kind, set()).update(keys)
            written.rows += rows
        for noted in _noted:
            noted(None if kind == RULES else kind, keys)

    def forget(self) -> None:
        """The transaction was rolled back."""
        self.written = None
        _writing.discard(self)

    def settle(self) -> None:
        """Tell what was written, if the transaction has ended. Never raises."""
        if self.written is None or self._is_telling or not self.is_idle():
            return
        done = self.written
        self.forget()
        self._is_telling = True
        try:
            for committed in _committed:
                committed(self.alias, done)
            self.end_telling()
        except Exception as error:  # noqa: BLE001 - the write itself has succeeded
            name = type(error).__name__
            report(logger, "capture_untold", "The cache was not told of a write: %s", name)
        finally:
            self._is_telling = False


_writing: WeakSet[_Ear] = WeakSet()
"""Those with something written. Nearly always empty."""
unsettled = _writing
"""The same, for a path where a call counts: nearly always empty, and then nobody is writing."""


class _ListeningLock:
    """psycopg's lock of a connection; says when it was released."""

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


class _PsycopgEar(_Ear):
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
        raw.__dict__[EAR] = self
        raw.__dict__["lock"] = _ListeningLock(raw.lock, self._released)
        raw.__dict__["wait"] = self._wait_and_settle
        raw.__dict__["rollback"] = self._roll_back

    def is_idle(self) -> bool:
        raw = self._raw
        in_pipeline = raw.__dict__.get("_pipeline") is not None
        return raw.pgconn.transaction_status == TransactionStatus.IDLE and not in_pipeline

    def end_telling(self) -> None:
        if self._raw.pgconn.transaction_status == TransactionStatus.INTRANS:
            self._raw.commit()
        elif self._raw.pgconn.transaction_status == TransactionStatus.INERROR:
            self._rollback()

    def _released(self) -> None:
        if self.written is not None:
            self.settle()

    def _wait_and_settle(self, *arguments: Any, **options: Any) -> Any:
        result = self._wait(*arguments, **options)
        # COPY ends without the lock; whoever holds it settles when it is released.
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
        told = json.loads(message[len(NOTICE) :])
        if told.get("rules"):
            self.note(None, None, [])
            return
        if told["failed"]:
            report(
                logger,
                "capture_comparison_failed",
                "A trigger could not compare rows, and everybody counts as changed: %s",
                told["failed"],
            )
        self.note(told["kind"], told["keys"], told["ids"])


class _DjangoEar(_Ear):
    """Listens to a connection by Django's own means."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection.alias)
        self._connection = connection
        self._seen_changes = 0

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

    def _execute(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        result = execute(*arguments)
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
        for number, kind, keys in rows:
            self.note(kind, None if keys is None else json.loads(keys), [number])
        if len(rows) == ROWS_AT_ONCE and self.written is not None:
            self.written.many = True


def _ear(connection: BaseDatabaseWrapper, *, attach_it: bool = False) -> _Ear | None:
    """The ear of this thread's connection; None where it is closed."""
    raw = connection.connection
    if raw is None:
        return None
    found: _Ear | None = getattr(raw, "__dict__", {}).get(EAR) or connection.__dict__.get(EAR)
    if found is None and attach_it:
        attach(connection)
        return _ear(connection)
    return found
