"""What each database connection of this process has written, of which the cache is not yet notified.

    UPDATE users_user …     the triggers say what changed     → noted
    any read meanwhile      `written(using)` is not None      → goes past the cache
    COMMIT                  the connection is idle again      → `committed` notifies the cache
    ROLLBACK                                                  → forgotten

`featureflags.capture.listeners` has the two listeners: of psycopg, and of Django's other connections.

A test in Django's TestCase never commits: the cache is not notified, and its reads go past the cache
until it is rolled back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from weakref import WeakSet

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from featureflags.capture.statements import RULES
from featureflags.core.monitoring import report

logger = logging.getLogger(__name__)


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
        listener_of(connection) in _writing for connection in connections.all(initialized_only=True)
    )


def written(using: str) -> Written | None:
    """What this thread's connection has written and not committed; None: nothing."""
    listener = listener_of(connections[using])
    return listener.written if listener is not None else None


LISTENER: Final = "_guidon_listener"
"""The attribute of a connection that holds its listener."""


class Listener:
    """Of one connection: collects what it writes, and notifies the cache once the connection is idle."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.written: Written | None = None
        self._is_notifying = False

    def is_idle(self) -> bool:
        """Whether no transaction is open, and a query may be sent."""
        raise NotImplementedError

    def end_notifying(self) -> None:
        """Leave the connection as idle as it was."""

    def heed(self, done: Written) -> None:
        """The cache is notified of this now."""

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
        """Notify the cache of what was written, if the transaction has ended. Never raises."""
        if self.written is None or self._is_notifying or not self.is_idle():
            return
        done = self.written
        self.forget()
        self.heed(done)
        self._is_notifying = True
        try:
            for committed in _committed:
                committed(self.alias, done)
            self.end_notifying()
        except Exception as error:  # noqa: BLE001 - the write itself has succeeded
            name = type(error).__name__
            report(
                logger, "capture_not_notified", "The cache was not notified of a write: %s", name
            )
        finally:
            self._is_notifying = False


_writing: WeakSet[Listener] = WeakSet()
"""The listeners with something written. Nearly always empty."""
unsettled = _writing
"""The same, for a path where a call counts: nearly always empty, and then nobody is writing."""


def listener_of(connection: BaseDatabaseWrapper) -> Listener | None:
    """The listener of this thread's connection; None where it is closed or nobody listens yet."""
    raw = connection.connection
    if raw is None:
        return None
    found: Listener | None = getattr(raw, "__dict__", {}).get(LISTENER)
    return found or connection.__dict__.get(LISTENER)
