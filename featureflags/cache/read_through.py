"""Users whom the cache does not hold: their rows from the primary database, and into the cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import DatabaseError

from featureflags.cache import protocol
from featureflags.cache.single_flight import SingleFlight
from featureflags.cache.snapshot_store import CacheRead
from featureflags.contexts.results import ContextSource
from featureflags.core.database import IsCurrent, in_transaction, primary
from users.models import User
from users.selectors import snapshots_and
from users.snapshots import UserSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The snapshots of those who exist, by key, and where they were read."""

    snapshots: Mapping[str, UserSnapshot]
    source: ContextSource


_flights: SingleFlight[Found | None] = SingleFlight()


def read_rows(keys: list[str], read: CacheRead) -> Found | None:
    """The rows of these users, and into the cache; None if the database failed.

    Threads that ask for one cold user at once ask the database once.
    """
    if len(keys) > 1 or in_transaction(primary(User)):
        # A transaction sees its own writes, which are for nobody else.
        return read_and_fill(keys, read)

    def fly(is_late: bool) -> Found | None:
        now = read
        if is_late and not (read.failed or read.database_failed):
            # Another thread has filled the cache since `read`.
            now = protocol.read(keys)
            if now.fresh:
                return Found(snapshots=now.fresh, source=ContextSource.CACHE)
        return read_and_fill(keys, now)

    return _flights.fly(keys[0], fly, since=read.began)


def read_and_fill(keys: list[str], read: CacheRead) -> Found | None:
    """The rows of these users, read after `read`, and into the cache; None if the database failed.

    One query.
    """
    if read.database_failed:
        return None
    try:
        snapshots, is_current = snapshots_and(keys, IsCurrent(), using=primary(User))
    except DatabaseError as error:
        protocol.report_database(error)
        return None
    protocol.fill(read, snapshots.values(), is_current=is_current)
    return Found(snapshots=snapshots, source=ContextSource.DATABASE)


def refill(key: str) -> None:
    """Put the user back into the cache after a write removed their entry: one read, one query, one fill.

    A failure is counted and logged, and leaves the entry away.
    """
    read = protocol.read([key])
    if not read.failed and key not in read.fresh:
        read_and_fill([key], read)
