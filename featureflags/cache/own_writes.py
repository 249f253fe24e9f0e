"""What the transactions of this process have written and not committed yet.

A transaction reads its own writes, which nobody else may see: its reads go past the cache. The list
is Django's own `run_on_commit`, so a rollback (of a savepoint too) takes the writes off it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable

from django.db import connections, transaction

from featureflags.cache.outbox import OutboxRow
from featureflags.core.database import primary
from featureflags.models.versions import RulesetVersion


class OwnWrites:
    """Called after the commit: tells what was written by one transaction or savepoint."""

    def __init__(self, tell: Callable[[OwnWrites], None]) -> None:
        # Django names a failed function in its log.
        self.__qualname__ = type(self).__qualname__
        self._tell = tell
        self.rows: list[OutboxRow] = []
        self.rules = False

    def __call__(self) -> None:
        _all.discard(self)
        self._tell(self)


_all: weakref.WeakSet[OwnWrites] = weakref.WeakSet()
"""Those that have not ended, of all connections. Nearly always empty."""


def of_transaction(tell: Callable[[OwnWrites], None], using: str) -> OwnWrites:
    """The writes of the transaction at hand, which `tell` tells after the commit."""
    connection = connections[using]
    savepoints = set(connection.savepoint_ids)
    for hook in reversed(connection.run_on_commit):
        if hook[0] != savepoints:
            break
        if isinstance(hook[1], OwnWrites):
            return hook[1]
    writes = OwnWrites(tell)
    _all.add(writes)
    transaction.on_commit(writes, using=using, robust=True)
    return writes


def is_writing() -> bool:
    """Whether the transaction at hand has written what the cache holds."""
    if not _all:
        return False
    hooks = connections[primary(RulesetVersion)].run_on_commit
    return any(isinstance(hook[1], OwnWrites) for hook in hooks)


def is_pending(writes: OwnWrites) -> bool:
    """Whether these writes are neither committed nor rolled back."""
    return writes in _all
