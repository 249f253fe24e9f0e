"""Rows that the cache does not hold, read from the primary database, and into the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db import DatabaseError

from featureflags.cache import protocol
from featureflags.cache.gathered_reads import GatheredReads
from featureflags.cache.single_flight import SingleFlight
from featureflags.cache.snapshot_store import CacheRead
from featureflags.contexts.results import ContextSource
from featureflags.core.database import IsCurrent, in_transaction, primary
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import kind_named
from featureflags.kinds.snapshot import Address, Snapshot, address, kind_and_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The snapshots of the rows that exist, by address, and where they were read."""

    snapshots: Mapping[Address, Snapshot]
    source: ContextSource
    is_current: bool = True
    """Whether other threads may use them: not the rows of an older snapshot."""


_flights: SingleFlight[Found | None] = SingleFlight(lambda found: found is None or found.is_current)


def _rows(rows: Sequence[Address]) -> tuple[Mapping[Address, Snapshot], bool]:
    """One query for each kind."""
    found: dict[Address, Snapshot] = {}
    are_current = True
    for kind, keys in _by_kind(rows):
        using = primary(kind.model)
        snapshots, is_current = kind.snapshots_and(keys, IsCurrent(), using=using)
        found |= {address(kind.name, key): snapshot for key, snapshot in snapshots.items()}
        are_current = are_current and is_current
    return found, are_current


def _by_kind(rows: Iterable[Address]) -> list[tuple[CompiledKind, list[str]]]:
    keys: dict[str, list[str]] = {}
    for name, key in map(kind_and_key, rows):
        keys.setdefault(name, []).append(key)
    return [(kind, keys[name]) for name in keys if (kind := kind_named(name)) is not None]


_gathered: GatheredReads[Address, Snapshot] = GatheredReads(_rows)


def read_rows(keys: list[Address], read: CacheRead) -> Found | None:
    """These rows, and into the cache; None if the database failed.

    Threads that ask for one cold row at once ask the database once; those that ask for several cold
    rows at once share a query; see `GatheredReads`.
    """
    if len(keys) > 1 or any(in_transaction(primary(kind.model)) for kind, _ in _by_kind(keys)):
        # A transaction sees its own writes, which are for nobody else.
        return read_and_fill(keys, read)
    key = keys[0]

    def fly(is_late: bool) -> Found | None:
        now = read
        if is_late and not (read.failed or read.database_failed):
            # Another thread has filled the cache since `read`.
            now = protocol.read(keys)
            if now.fresh:
                return Found(snapshots=now.fresh, source=ContextSource.CACHE)
        return _filled(now, lambda: _read_one(key))

    return _flights.fly(key, fly, since=read.began)


def read_and_fill(keys: Sequence[Address], read: CacheRead) -> Found | None:
    """These rows, read after `read`, and into the cache; None if the database failed.

    One query for each kind.
    """
    return _filled(read, lambda: _rows(keys))


def _read_one(key: Address) -> tuple[Mapping[Address, Snapshot], bool]:
    snapshot, is_current = _gathered.read(key)
    return ({} if snapshot is None else {key: snapshot}), is_current


def _filled(
    read: CacheRead, query: Callable[[], tuple[Mapping[Address, Snapshot], bool]]
) -> Found | None:
    if read.database_failed:
        return None
    try:
        snapshots, is_current = query()
    except DatabaseError as error:
        protocol.report_database(error)
        return None
    protocol.fill(read, snapshots.values(), is_current=is_current)
    return Found(snapshots=snapshots, source=ContextSource.DATABASE, is_current=is_current)


def refill(key: Address) -> None:
    """Put the row back into the cache after a write removed its entry: one read, one query, one fill.

    A failure is counted and logged, and leaves the entry away.
    """
    read = protocol.read([key])
    if not read.failed and key not in read.fresh:
        read_and_fill([key], read)
