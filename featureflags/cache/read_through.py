"""Users whom the cache does not know, from the database: one query, and into the cache too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import DatabaseError, transaction

from featureflags.cache import pending_invalidations, snapshot_store
from featureflags.cache.single_flight import Turns
from featureflags.cache.snapshot_store import CacheRead
from featureflags.contexts.results import ContextSource
from users.selectors import snapshots_by_key
from users.snapshots import UserSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The snapshots of those who exist, by key, and where they were read."""

    snapshots: Mapping[str, UserSnapshot]
    source: ContextSource


_turns: Turns[Found | None] = Turns()


def read_rows(keys: list[str], read: CacheRead) -> Found | None:
    """The rows of these users, into the cache too; None if the database failed.

    Threads that ask for one cold user at once ask the database once.
    """
    if len(keys) > 1 or transaction.get_connection().in_atomic_block:
        # What a transaction reads, its own writes among it, is for nobody else.
        return read_and_fill(keys, read)

    def in_turn() -> Found | None:
        # Whoever was before us, perhaps since `read`, has left it in the cache.
        now = read if read.failed or read.database_failed else pending_invalidations.read(keys)
        if now.fresh:
            return Found(snapshots=now.fresh, source=ContextSource.CACHE)
        return read_and_fill(keys, now)

    return _turns.read(keys[0], in_turn)


def read_and_fill(keys: list[str], read: CacheRead) -> Found | None:
    """The rows of these users, read after `read`, into the cache; None if the database failed.

    One query.
    """
    if read.database_failed:
        return None
    try:
        snapshots = snapshots_by_key(keys)
    except DatabaseError as error:
        pending_invalidations.report_database(error)
        return None
    snapshot_store.fill(read, snapshots.values())
    return Found(snapshots=snapshots, source=ContextSource.DATABASE)
