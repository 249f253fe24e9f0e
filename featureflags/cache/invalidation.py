"""What a write does to the cache, once it has committed.

The triggers notice what a connection writes (`featureflags.capture.own_writes`). Until the commit its
own reads go past the cache, and the unit of work keeps nothing; after it the cache is notified, before
the write returns. A rollback leaves no trace.

    touched("user", keys)     where no trigger notices it: these entries are old
    rules_touched()           segments or members have changed
    raise_epoch()             every entry is old
"""

from __future__ import annotations

from collections.abc import Iterable

from featureflags.cache import outbox, protocol
from featureflags.cache.compiled_rules import forget_recent
from featureflags.cache.outbox import OutboxRow
from featureflags.cache.protocol import notify, raise_epoch
from featureflags.cache.unit_of_work import current_unit
from featureflags.capture import listeners, own_writes
from featureflags.capture.own_writes import Written
from featureflags.capture.statements import RULES
from featureflags.capture.without_triggers import touched
from featureflags.core.database import primary
from featureflags.core.monitoring import count
from featureflags.models import OutboxEvent

__all__ = ["notify", "raise_epoch", "rules_touched", "touched"]


def rules_touched() -> None:
    """Segments or members were written where no trigger notices it, and their version was raised."""
    listeners.note_rules(primary(OutboxEvent))


def listen() -> None:
    """Note what each connection of this process writes; called once, at start."""
    own_writes.listen(noted=_noted, committed=_committed)


def _noted(kind: str | None, keys: Iterable[str] | None) -> None:
    """Within the statement that wrote."""
    unit = current_unit()
    if kind is None:
        forget_recent()
        if unit is not None:
            unit.forget_ruleset()
    elif unit is not None:
        unit.forget_rows(kind, keys)


def _committed(_using: str, written: Written) -> None:
    """After the commit."""
    rows = [OutboxRow(id=None, kind=kind, keys=tuple(keys)) for kind, keys in written.keys.items()]
    if written.rules:
        forget_recent()
        rows.append(OutboxRow(id=None, kind=RULES, keys=None))
    if rows or written.rows:
        count("invalidated:own_write", sum(len(row.keys or ()) or 1 for row in rows))
        protocol.notify(rows, written.rows)
    for row_id in written.unread:
        # One at a time: each may hold thousands of keys.
        row = outbox.read(row_id)
        if row is not None:
            protocol.notify([row])
    if written.many:
        protocol.notify_pending()
