"""Statements with a time limit, past which a count gives lower bounds instead of an error page.

PostgreSQL's `statement_timeout` and SQLite's progress handler cut a statement off, and all of its
work is lost. So a count also reads the clock for each row, and leaves out rows that come too late.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import OperationalError, connections, transaction
from django.db.models import BooleanField, Q

from featureflags.audience.sql.expressions import Part, Sql, Written

QUERY_CANCELED: Final = "57014"
"""PostgreSQL's code of a statement that took too long."""

SHORTEST_SECONDS: Final = 0.01
"""PostgreSQL takes a limit of zero for none."""

INSTRUCTIONS: Final = 10_000
"""Instructions of SQLite's virtual machine between two looks at the clock."""

SQLITE_CLOCK: Final = "guidon_monotonic"


class TimeIsUp(Exception):
    """A statement was cut off."""


class TimeLimit:
    """The time for some statements on one database, counted from its creation."""

    def __init__(self, using: str, seconds: float) -> None:
        self._connection = connections[using]
        self._began = time.monotonic()
        self._seconds = seconds

    def is_over(self, share: float = 1.0) -> bool:
        """True if this share of the time has passed."""
        return time.monotonic() >= self._at(share)

    def in_time(self, share: float) -> Q:
        """Holds for rows that are read before this share of the time has passed."""
        if self._connection.vendor == "sqlite":
            self._connection.ensure_connection()
            self._connection.connection.create_function(SQLITE_CLOCK, 0, time.monotonic)
        return Q(IsBefore(self._at(share)))

    @contextmanager
    def statements(self, *, at_least: float = SHORTEST_SECONDS) -> Iterator[None]:
        """Read within what is left of the time, and no less than `at_least` seconds.

        Raises TimeIsUp when a statement inside is cut off; the transaction around goes on. For
        reading only: writes inside are rolled back.
        """
        left = max(at_least, self._at(1.0) - time.monotonic())
        on_postgresql = self._connection.vendor == "postgresql"
        limited = self._on_postgresql(left) if on_postgresql else self._on_sqlite(left)
        try:
            with limited:
                yield
        except OperationalError as error:
            if _was_cut_off(error):
                raise TimeIsUp from error
            raise

    def _at(self, share: float) -> float:
        return self._began + self._seconds * share

    @contextmanager
    def _on_postgresql(self, seconds: float) -> Iterator[None]:
        using = self._connection.alias
        with transaction.atomic(using=using):
            with self._connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = %s", [round(seconds * 1000)])
            yield
            # Removes the limit too, if this is only a savepoint of an outer transaction.
            transaction.set_rollback(True, using=using)

    @contextmanager
    def _on_sqlite(self, seconds: float) -> Iterator[None]:
        # No transaction: ours are IMMEDIATE and would keep writers waiting for a count.
        ends = time.monotonic() + seconds
        self._connection.ensure_connection()
        database = self._connection.connection
        database.set_progress_handler(lambda: time.monotonic() >= ends, INSTRUCTIONS)
        try:
            yield
        finally:
            database.set_progress_handler(None, INSTRUCTIONS)


class IsBefore(Written):
    """The clock, read for each row, is before an instant of `time.monotonic()`."""

    output_field = BooleanField()

    def __init__(self, instant: float) -> None:
        super().__init__()
        self._instant = instant

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        del part
        if sqlite:
            return f"({SQLITE_CLOCK}() < %s)", [self._instant]
        # Computed right before execution. The two clocks may differ, but must run at the same speed.
        left = self._instant - time.monotonic()
        return "(CLOCK_TIMESTAMP() < STATEMENT_TIMESTAMP() + MAKE_INTERVAL(secs => %s))", [left]


def _was_cut_off(error: OperationalError) -> bool:
    cause: Any = error.__cause__
    return getattr(cause, "sqlstate", None) == QUERY_CANCELED or str(cause) == "interrupted"
