"""The database's side of the cache protocol: the outbox, and the row with version, epoch, identity.

Each write inserts an outbox row in its own transaction: which entries it has made old. Once a cache
has removed them, it keeps the row's id (`delivered`), and rows are deleted many at a time, if the
database names that cache. A row that no cache has kept belongs to a process that died, to a cache that
could not be reached, or to a program that knows nothing of us.

Everything here reads and writes the primary database. Each function is one query unless it says
otherwise, and raises DatabaseError.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Exists

from featureflags.cache.entries import USER
from featureflags.core.database import IsCurrent, primary
from featureflags.core.signals import epoch_begun
from featureflags.core.uncached import fresh_rows
from featureflags.models import OutboxEvent
from featureflags.models.versions import RulesetVersion

try:
    import psycopg
    import psycopg.pq
except ImportError:  # a project on SQLite alone
    HAS_PSYCOPG = False
else:
    HAS_PSYCOPG = True


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """Entries that a write has made old."""

    id: int | None
    """None: the row is not known, or is not needed."""
    kind: str = USER
    keys: tuple[str, ...] | None
    """None: everybody of that kind. Of the kind `RULES`: segments or members have changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What the database says at one moment."""

    version: str
    epoch: int
    identity: str
    has_pending: bool
    """Whether the outbox holds a row."""
    is_current: bool
    """Whether this may be shared; see `IsCurrent`."""


def in_force() -> InForce:
    """The version, the epoch, and whether the outbox is empty. One query, three the first time."""
    using = primary(RulesetVersion)
    pending = Exists(OutboxEvent.objects.all())
    rows = RulesetVersion.objects.using(using).annotate(pending=pending, current=IsCurrent())
    with fresh_rows():
        row = rows.filter(pk=1).first()
        if row is None:
            RulesetVersion.objects.using(using).get_or_create(pk=1)
            row = rows.get(pk=1)
    return InForce(
        version=str(row),
        epoch=row.epoch,
        identity=row.identity,
        has_pending=row.pending,
        is_current=bool(row.current),
    )


def adopt(seen: InForce, identity: str) -> int | None:
    """Begin an epoch for a cache that the database does not know; the epoch.

    None: somebody else was faster. What that process has begun is not ours to use.
    """
    epoch = _next(seen.epoch)
    row = RulesetVersion.objects.using(primary(RulesetVersion)).filter(
        pk=1, identity=seen.identity, epoch=seen.epoch
    )
    if not row.update(epoch=epoch, identity=identity):
        return None
    epoch_begun.send_robust(sender=None)
    return epoch


def raise_epoch() -> None:
    """Make every entry invalid. Two queries, and two more where the row is missing."""
    using = primary(RulesetVersion)
    while True:
        seen = in_force().epoch
        row = RulesetVersion.objects.using(using).filter(pk=1, epoch=seen)
        if row.update(epoch=_next(seen)):
            epoch_begun.send_robust(sender=None)
            return
        # Another process was faster, or the table was emptied.
        RulesetVersion.objects.using(using).get_or_create(pk=1)


def pending(after: int = 0, besides: Collection[int] = ()) -> list[OutboxRow]:
    """The oldest rows with a larger id than `after`, without those `besides`; see `rows_at_once`."""
    using = primary(OutboxEvent)
    rows = OutboxEvent.objects.using(using).filter(pk__gt=after).order_by("pk")
    if besides:
        rows = rows.exclude(pk__in=besides)
    with fresh_rows():
        found = rows.values_list("pk", "kind", "keys")[: rows_at_once()]
        return [_row(*row) for row in found]


def rows_at_once() -> int:
    """Rows in memory. PostgreSQL: up to 5,000 keys each. SQLite: a key each."""
    return 20 if connections[primary(OutboxEvent)].vendor == "postgresql" else 5_000


@cache
def most_delivered() -> int:
    """How many delivered rows a writer leaves to the next renewal of the version.

    500 are deleted in 2 ms. SQLite: none, since each write there reads the outbox to learn what it has
    changed.
    """
    return 500 if connections[primary(OutboxEvent)].vendor == "postgresql" else 0


def read(row_id: int) -> OutboxRow | None:
    """One row; None: it was deleted already."""
    rows = OutboxEvent.objects.using(primary(OutboxEvent)).filter(pk=row_id)
    with fresh_rows():
        found = rows.values_list("pk", "kind", "keys").first()
    return None if found is None else _row(*found)


def delete(ids: Collection[int], identity: str) -> None:
    """Delete rows that were delivered to the cache `identity`, if it is the one that the database names.

    A row that was delivered to a superseded cache alone stays.
    """
    using = primary(OutboxEvent)
    connection = connections[using]
    if connection.vendor == "postgresql" and _is_idle(connection):
        with connection.cursor() as cursor:
            cursor.execute(DELETE_SOON, [list(ids), identity])
        return
    named = RulesetVersion.objects.filter(pk=1, identity=identity)
    OutboxEvent.objects.using(using).filter(Exists(named), pk__in=ids).delete()


DELETE_SOON: Final = f"""
WITH later AS (SELECT set_config('synchronous_commit', 'off', true))
DELETE FROM {OutboxEvent._meta.db_table} USING later
WHERE id = ANY(%s) AND EXISTS (
    SELECT FROM {RulesetVersion._meta.db_table} WHERE id = 1 AND identity = %s
)
"""  # noqa: S608 - constants of the models
"""In a transaction of its own. Nobody waits for the disk: a row that comes back is delivered once more."""


def _is_idle(connection: BaseDatabaseWrapper) -> bool:
    """Whether the driver has no transaction open, so that the statement is one of its own."""
    connection.ensure_connection()
    raw = connection.connection
    if not HAS_PSYCOPG or not isinstance(raw, psycopg.Connection):
        return False
    return raw.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE


def _row(row_id: int, kind: str, keys: list[str] | None) -> OutboxRow:
    return OutboxRow(id=row_id, kind=kind, keys=None if keys is None else tuple(keys))


def _next(epoch: int) -> int:
    """A later epoch than any that the database may have forgotten in a restore: the time counts on."""
    return max(epoch + 1, int(time.time()))
