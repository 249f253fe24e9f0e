"""Protections of the cache protocol, each switched off by a patch: the proof that a test needs it.

They change the process that calls them, for good. docs/operators/never-stale.md has the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from featureflags.cache import protocol, snapshot_store
from featureflags.cache.backends.protocol import Done
from featureflags.capture import listeners, own_writes
from featureflags.core import database


def without_compare() -> None:
    """Store whatever was read, without a look at what is stored now."""
    backend = type(snapshot_store.backend())

    def set_all(self: Any, swaps: Mapping[str, tuple[bytes, bytes]], seconds: float) -> Done[int]:
        self.set_many({name: new for name, (_, new) in swaps.items()}, seconds)
        return Done(len(swaps))

    backend.send_swap = set_all  # type: ignore[method-assign, union-attr]


def without_notifying() -> None:
    """Nobody notifies the cache after a commit."""
    own_writes._committed.clear()


def without_waiting_for_the_commit() -> None:
    """The cache is notified within the transaction."""
    for listener in (listeners._PsycopgListener, listeners._DjangoListener):
        _replace(listener, is_idle=lambda _self: True, end_notifying=lambda _self: None)
    # SQLite: the rows of the outbox would be delivered once more.
    _replace(listeners._DjangoListener, _commit=lambda _self, commit: commit())


def _replace(owner: type, **methods: Callable[..., object]) -> None:
    for name, method in methods.items():
        setattr(owner, name, method)


def without_the_outbox() -> None:
    """Nobody reads what other programs have written."""
    protocol._has_notified = lambda epoch: True


def without_a_current_row() -> None:
    """Rows of an older snapshot are kept."""
    always = ("1 = 1", ())
    database.IsCurrent.as_sql = lambda *_, **__: always  # type: ignore[method-assign]
    database.IsCurrent.as_postgresql = lambda *_, **__: always  # type: ignore[method-assign]


SWITCHES: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "compare": without_compare,
    "notifying": without_notifying,
    "commit": without_waiting_for_the_commit,
    "outbox": without_the_outbox,
    "current row": without_a_current_row,
}
