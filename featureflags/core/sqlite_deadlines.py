"""On SQLite a request waits for another writer no longer than its budget for the database.

SQLite lets one connection write at a time, and the others wait for `OPTIONS["timeout"]`: 20 seconds here,
since a command should rather wait than fail. A request that answers flags must not: what it could not
write in time is an error of the database, and the next step of the ladder answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.db import OperationalError
from django.db.backends.signals import connection_created

from featureflags.core.deadlines import current_budget


def listen() -> None:
    """Bound each connection that is made from now on."""
    connection_created.connect(_bound, dispatch_uid="featureflags.core.sqlite_deadlines")


def _bound(connection: Any, **_: Any) -> None:
    if connection.vendor != "sqlite":
        return
    wrappers = connection.execute_wrappers
    # The wrapper of a connection that was closed knows the time-out of that one.
    wrappers[:] = [each for each in wrappers if not isinstance(each, _Bound)]
    wrappers.append(_Bound(connection.connection))


class _Bound:
    """Sets SQLite's time-out before a statement, where the budget at hand wants another one."""

    __slots__ = ("_milliseconds", "_usual")

    def __init__(self, raw: Any) -> None:
        (self._usual,) = raw.execute("PRAGMA busy_timeout").fetchone()
        self._milliseconds = self._usual

    def __call__(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        budget, wanted = current_budget(), self._usual
        if budget is not None:
            wanted = min(wanted, max(0, round(budget.database_seconds * 1000)))
        if wanted != self._milliseconds:
            context["connection"].connection.execute(f"PRAGMA busy_timeout = {wanted}")
            self._milliseconds = wanted
        began = time.monotonic()
        try:
            return execute(sql, params, many, context)
        except OperationalError:
            if budget is not None:
                # The next statement of this request does not wait for the same writer again.
                budget.database_seconds -= time.monotonic() - began
            raise
