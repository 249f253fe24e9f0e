"""The cache protocol: `read`, `fill` and `notify`, which all readers and writers share.

    read(keys)    GET version and entries, one round trip.
                  No version: `renew`, and GET the entries again.
                  A hit is an entry of the version's epoch that is fresh.
                  Nothing stored: leave a lease there.
    renew         Lease the version (4 s from now) and ask the cache for its identity.
                  SELECT version, epoch, identity and whether the outbox is empty, from the primary.
                  Another identity: begin a new epoch.
                  Rows in the outbox: take the ids that the cache has kept, and DELETE their rows if
                  the cache is the one that the database names; `notify` the cache of the others.
                  Publish version and epoch over the lease, for what is left of its 4 s.
    fill          SELECT the rows; compare-and-swap each over the bytes that `read` has seen.
    notify(rows)  UNLINK the entries; then have the cache keep the ids of the rows: one round trip.

A fill succeeds only over bytes that its reader saw *before* it read the row. So an entry may be missing
at any moment (evicted, flushed, removed by a write) and costs a miss, never an old answer; and a
process may be paused anywhere, since each condition is checked where the write happens.
docs/operators/never-stale.md has the limits. `tests/featureflags/cache/model`
searches the same steps exhaustively.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from django.db import DatabaseError, transaction

from featureflags.cache import fills, outbox, snapshot_store
from featureflags.cache.entries import VERSION_NAME, decode_version, name_of
from featureflags.cache.outbox import InForce, OutboxRow
from featureflags.cache.snapshot_store import CacheRead, with_state
from featureflags.capture.own_writes import is_writing, unsettled
from featureflags.capture.statements import RULES
from featureflags.core.database import in_transaction, primary
from featureflags.core.monitoring import count, report
from featureflags.kinds.snapshot import Address, Snapshot, address
from featureflags.models import OutboxEvent
from featureflags.models.versions import RulesetVersion

logger = logging.getLogger(__name__)

NOTIFY_SECONDS: Final = 1.0
"""How long one renewal works through the outbox. Then this reader and others ask the database, until
later renewals are through: those reads are slower and never old."""


def read(keys: Collection[Address]) -> CacheRead:
    """The version in force, the fresh snapshots of these keys, and leases for the others.

    One round trip for a hit, two for a miss. Hidden SQL: one query every `VERSION_SECONDS`, or where
    the cache does not answer. Never raises: `database_failed` says that the database did not answer.
    """
    return complete(snapshot_store.get(keys))


def complete(found: CacheRead) -> CacheRead:
    """`read`, from what the cache holds."""
    if unsettled and is_writing():
        return _from_database(with_state(found, failed=True, is_own=True))
    if found.version is None:
        found = _renewed(found)
    if len(found.stored) == len(found.keys) or found.database_failed:
        return found
    return snapshot_store.lease(found)


def fill(source: CacheRead, snapshots: Iterable[Snapshot], *, is_current: bool) -> None:
    """Store snapshots whose rows were read after `source`, if the query says that it `is_current`."""
    if is_current and not source.is_own:
        fills.put(source, snapshots)


def notify(rows: Sequence[OutboxRow], delivered: Sequence[int] = ()) -> bool:
    """Remove from the cache what these rows say; whether it succeeded. Never raises.

    For committed writes only. The cache keeps the ids of the rows, and those in `delivered`, whose
    keys the rows hold too; the next renewal deletes these rows of the outbox.
    """
    names = _names(rows)
    if names is None:
        return False
    ids = [*delivered, *(row.id for row in rows if row.id is not None)]
    kept = snapshot_store.remove(names, ids)
    if kept is None:
        return False
    if kept > outbox.most_delivered():
        delete_delivered()
    return True


def delete_delivered() -> Collection[int]:
    """Delete the outbox rows that were delivered to this cache; the ids that must wait for a commit.

    Within a transaction rows are deleted after it, so that nobody waits for their locks. Never raises:
    a row that stays is delivered once more.
    """
    ids, identity = snapshot_store.take_delivered() or ((), "")
    if not ids:
        return ()

    def delete() -> None:
        try:
            outbox.delete(ids, identity)
        except DatabaseError as error:
            report_database(error)

    if in_transaction(primary(OutboxEvent)):
        transaction.on_commit(delete, using=primary(OutboxEvent), robust=True)
        return ids
    delete()
    return ()


def notify_pending(seconds: float = math.inf) -> bool:
    """Notify the cache of every row of the outbox that it does not know; False: of some it was not.

    At most for so many seconds, and the query that is under way then. Raises DatabaseError.
    """
    waiting, last, ends = delete_delivered(), 0, time.monotonic() + seconds
    while rows := outbox.pending(last, waiting):
        count("invalidated:outbox", sum(len(row.keys or ()) or 1 for row in rows))
        if not notify(rows) or time.monotonic() > ends:
            return False
        last = rows[-1].id or 0
        if len(rows) < outbox.rows_at_once():
            break
    if last:
        delete_delivered()
    return True


def raise_epoch() -> None:
    """Make every entry of every kind invalid: too many keys to name, or a restored database.

    Raises DatabaseError. Within a transaction, readers hear of it after the commit.
    """

    def remove_version() -> None:
        snapshot_store.remove_version()

    outbox.raise_epoch()
    if in_transaction(primary(RulesetVersion)):
        transaction.on_commit(remove_version, using=primary(RulesetVersion), robust=True)
    else:
        remove_version()


def report_database(error: DatabaseError) -> None:
    name = type(error).__name__
    report(logger, "database_unavailable", "The database failed under a flag check: %s", name)


def _renewed(found: CacheRead, *, again: bool = True) -> CacheRead:
    """With the version of the database. `again`: begin once more if another process has just begun an
    epoch: its own renewal is nearly through."""
    leased = None if found.failed else snapshot_store.lease_version()
    if leased is None:
        return _from_database(with_state(found, failed=True))
    seen, identity = leased
    if (published := decode_version(seen)) is not None:
        return _again(found, *published)
    try:
        state = outbox.in_force()
        epoch = _epoch_for(state, identity)
        if epoch is None and again and _may_adopt(state):
            return _renewed(found, again=False)
        if epoch is None or (state.has_pending and not _has_notified(epoch)):
            return with_state(found, version=state.version, failed=True)
    except DatabaseError as error:
        report_database(error)
        return with_state(found, database_failed=True)
    snapshot_store.publish(seen, state.version, epoch)
    return _again(found, state.version, epoch)


def _again(found: CacheRead, version: str, epoch: int) -> CacheRead:
    """The entries as they are now: what was read before the renewal may have been removed since."""
    if not found.keys:
        return with_state(found, version=version, epoch=epoch)
    return with_state(snapshot_store.get(found.keys), version=version, epoch=epoch)


def _epoch_for(state: InForce, identity: str) -> int | None:
    """The epoch in which this cache may be read and filled; None: in none, now."""
    if not state.is_current:
        return None
    if state.identity == identity:
        return state.epoch
    return outbox.adopt(state, identity) if _may_adopt(state) else None


def _may_adopt(state: InForce) -> bool:
    # In a transaction the row would stay locked until its end.
    return state.is_current and not in_transaction(primary(RulesetVersion))


def _has_notified(epoch: int) -> bool:
    """Whether the cache knows now what is in the outbox, and the epoch still is in force.

    Rows that are gone may have been deleted for another cache, which has begun another epoch.
    """
    return notify_pending(NOTIFY_SECONDS) and outbox.in_force().epoch == epoch


def _names(rows: Iterable[OutboxRow]) -> list[str] | None:
    """What to remove for these rows. None: everybody has changed, and that could not be said."""
    names: list[str] = []
    for row in rows:
        if row.kind == RULES:
            names.append(VERSION_NAME)
        elif row.keys is None:
            if in_transaction(primary(RulesetVersion)):
                return None  # Its row would stay locked until the end of the transaction.
            try:
                raise_epoch()
            except DatabaseError as error:
                report_database(error)
                return None
        else:
            names += [name_of(address(row.kind, key)) for key in row.keys]
    return names


def _from_database(found: CacheRead) -> CacheRead:
    """Without the cache: the version as this connection sees it."""
    try:
        return with_state(found, version=outbox.in_force().version)
    except DatabaseError as error:
        report_database(error)
        return with_state(found, database_failed=True)
