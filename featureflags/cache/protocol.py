"""The cache protocol: `read`, `fill` and `tell`, which all readers and writers share.

    read(keys)    GET version and entries, one round trip.
                  No version: `renew`, and GET the entries again.
                  A hit is an entry of the version's epoch that is fresh.
                  Nothing stored: leave a lease there.
    renew         Lease the version (4 s from now) and ask the cache for its identity.
                  SELECT version, epoch, identity and whether the outbox is empty, from the primary.
                  Another identity: begin a new epoch. Rows in the outbox: `tell` them.
                  Publish version and epoch over the lease, for what is left of its 4 s.
    fill          SELECT the rows; compare-and-swap each over the bytes that `read` has seen.
    tell(rows)    UNLINK the entries; DELETE the outbox rows if the cache is the one that the
                  database names.

A fill succeeds only over bytes that its reader saw *before* it read the row. So an entry may be missing
at any moment (evicted, flushed, removed by a write) and costs a miss, never an old answer; and a
process may be paused anywhere, since each condition is checked where the write happens.
docs/operators/never-stale.md has the limits. `tests/featureflags/cache/model`
searches the same steps exhaustively.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence

from django.db import DatabaseError, transaction

from featureflags.cache import fills, outbox, snapshot_store
from featureflags.cache.entries import decode_version
from featureflags.cache.outbox import InForce, OutboxRow
from featureflags.cache.snapshot_store import CacheRead, with_state
from featureflags.capture.own_writes import is_writing, unsettled
from featureflags.capture.statements import RULES
from featureflags.core.database import in_transaction, primary
from featureflags.core.monitoring import report
from featureflags.models import OutboxEvent
from featureflags.models.versions import RulesetVersion
from users.snapshots import UserSnapshot

logger = logging.getLogger(__name__)


def read(keys: Collection[str]) -> CacheRead:
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


def fill(source: CacheRead, snapshots: Iterable[UserSnapshot], *, is_current: bool) -> None:
    """Store snapshots whose rows were read after `source`, if the query says that it `is_current`."""
    if is_current and not source.is_own:
        fills.put(source, snapshots)


def tell(rows: Sequence[OutboxRow], heard: Sequence[int] = ()) -> bool:
    """Tell the cache which entries are old; whether it has heard. Never raises.

    For committed writes only. Within a transaction, the outbox rows are deleted after its commit, so
    that nobody waits for their locks.
    """
    identity = _removed(rows)
    if identity is None:
        return False
    ids = [*heard, *(row.id for row in rows if row.id is not None)]

    def delete() -> None:
        try:
            outbox.delete(ids, identity)
        except DatabaseError as error:
            report_database(error)  # The row stays, and is told once more.

    if in_transaction(primary(OutboxEvent)):
        transaction.on_commit(delete, using=primary(OutboxEvent), robust=True)
    else:
        delete()
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


def _renewed(found: CacheRead) -> CacheRead:
    leased = None if found.failed else snapshot_store.lease_version()
    if leased is None:
        return _from_database(with_state(found, failed=True))
    seen, identity = leased
    if (published := decode_version(seen)) is not None:
        return _again(found, *published)
    try:
        state = outbox.in_force()
        epoch = _epoch_for(state, identity)
        if epoch is None or not _all_told(state):
            return with_state(found, version=state.version, failed=True)
    except DatabaseError as error:
        report_database(error)
        return with_state(found, database_failed=True)
    snapshot_store.publish(seen, state.version, epoch)
    return _again(found, state.version, epoch)


def _again(found: CacheRead, version: str, epoch: int) -> CacheRead:
    """The entries as they are now: what was read before the renewal may have been told since."""
    if not found.keys:
        return with_state(found, version=version, epoch=epoch)
    return with_state(snapshot_store.get(found.keys), version=version, epoch=epoch)


def _epoch_for(state: InForce, identity: str) -> int | None:
    """The epoch in which this cache may be read and filled; None: in none, now."""
    if not state.is_current:
        return None
    if state.identity == identity:
        return state.epoch
    # The row would stay locked until the end of a transaction.
    return None if in_transaction(primary(RulesetVersion)) else outbox.adopt(state, identity)


def _all_told(state: InForce) -> bool:
    if not state.has_pending:
        return True
    rows = outbox.pending()
    # A reader that finds more goes to the database meanwhile.
    if not rows:
        return True  # Another process was faster.
    return tell(rows) and len(rows) < outbox.rows_at_once(primary(OutboxEvent))


def _removed(rows: Sequence[OutboxRow]) -> str | None:
    """Remove the entries; by which cache (its identity). None: it failed."""
    try:
        if any(row.keys is None and row.kind != RULES for row in rows):
            if in_transaction(primary(RulesetVersion)):
                return None  # Its row would stay locked until the end of the transaction.
            raise_epoch()
    except DatabaseError as error:
        report_database(error)
        return None
    if any(row.kind == RULES for row in rows) and not snapshot_store.remove_version():
        return None
    identity: str | None = None
    for kind in {row.kind for row in rows}:
        keys = {key for row in rows if row.kind == kind for key in row.keys or ()}
        now = snapshot_store.remove(keys, kind)
        if now is None or (identity is not None and now != identity):
            return None
        identity = now
    return identity


def _from_database(found: CacheRead) -> CacheRead:
    """Without the cache: the version as this connection sees it."""
    try:
        return with_state(found, version=outbox.in_force().version)
    except DatabaseError as error:
        report_database(error)
        return with_state(found, database_failed=True)
