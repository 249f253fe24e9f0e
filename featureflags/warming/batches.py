"""Warms one range of users: reads the cache, then the database, compares, and writes.

The cache is read before the rows, and leases are left where nothing is stored: a write that comes
meanwhile makes the fill of that user fail (see `featureflags.cache.protocol`). An entry that equals its
row and does not expire soon stays as it is.

Hidden SQL: one query for the keys of a range, and one for each batch of `warm_batch` users. Memory:
three batches and the keys of one range.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import zip_longest
from typing import Any

from django.db.models import QuerySet

from featureflags.cache import entries, fills, protocol
from featureflags.cache.fills import PendingPut
from featureflags.cache.pending_reads import PendingGet, begin_get
from featureflags.cache.sealing import seal, unseal
from featureflags.cache.snapshot_store import CacheRead
from featureflags.core.conf import app_settings
from featureflags.core.database import IsCurrent, primary
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import user_kind
from featureflags.kinds.snapshot import Address, address


class CacheDown(RuntimeError):
    """The cache did not accept a batch."""


@dataclass(slots=True, kw_only=True)
class Counts:
    """Users. `read` = `written` + `kept` + `failed`."""

    read: int = 0
    written: int = 0
    kept: int = 0
    """The entry is good, or another write is changing it: it was left alone."""
    failed: int = 0
    """The cache did not accept them."""

    def add(self, other: Counts) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """A batch whose rows were read and whose entries are being sent."""

    read: int
    written: PendingPut

    def counts(self) -> Counts:
        written = self.written.result()
        if written is None:
            return Counts(read=self.read, failed=self.read)
        return Counts(read=self.read, written=written, kept=self.read - written)


def warm_users(
    users: QuerySet[Any], *, force: bool, kind: CompiledKind | None = None
) -> Iterator[Counts]:
    """Warm these rows of a kind (None: users) batch by batch; yields the counts of each batch.

    While the rows of a batch are read, the cache works on the batches before and after it. Raises CacheDown after the counts of a batch that failed, and DatabaseError.
    """
    kind = kind or user_kind()
    keys, size = kind.keys(users), app_settings().warm_batch
    batches = [keys[start : start + size] for start in range(0, len(keys), size)]
    reading = _begin_get(kind, batches[0]) if batches else None
    writing: Writing | None = None
    try:
        for batch, following in zip_longest(batches, batches[1:]):
            pending = _begin_get(kind, batch) if reading is None else reading
            source = protocol.complete(pending.result())
            reading = _begin_get(kind, following) if following else None
            before, writing = writing, _begin(kind, users, batch, source, force=force)
            if before is not None:
                yield from _ended(before)
        if writing is not None:
            yield from _ended(writing)
    finally:
        if reading is not None:
            reading.discard()
        if writing is not None:
            writing.written.discard()


def _begin_get(kind: CompiledKind, keys: list[str]) -> PendingGet:
    return begin_get([address(kind.name, key) for key in keys], leases=True)


def _ended(writing: Writing) -> Iterator[Counts]:
    counts = writing.counts()
    yield counts
    if counts.failed:
        raise CacheDown


def _begin(
    kind: CompiledKind, users: QuerySet[Any], keys: list[str], source: CacheRead, *, force: bool
) -> Writing:
    """Read the rows, and begin to write the entries that are missing, expire soon or differ.

    Rows of a replica or of an older snapshot are not read at all: they must never be cached.
    """
    known, stored = frozenset(keys), source.stored
    fresh_until, epoch = fills.fresh_until_now(), source.epoch or 0
    good_until = (int(time.time()) + app_settings().warm_renew_seconds) * 1_000_000
    head = entries.head(fresh_until, epoch)
    read, to_write = 0, dict[Address, bytes]()
    bounds = {
        f"{kind.key}__gte": kind.parse_key(keys[0]),
        f"{kind.key}__lte": kind.parse_key(keys[-1]),
    }
    in_batch = users.using(primary(kind.model)).filter(IsCurrent(), **bounds)
    for values in kind.values(in_batch):
        if values[0] not in known:
            # Created since: what the cache holds of this row was not read.
            continue
        read += 1
        row = address(kind.name, values[0])
        name, snapshot = entries.name_of(row), entries.encode_fields(values, kind.fingerprint)
        before = stored.get(row)
        before = None if before is None else unseal(name, before)
        if (
            before is None
            or force
            or entries.fresh_until_if_same(before, epoch, snapshot) < good_until
        ):
            to_write[row] = seal(name, head + snapshot)
    return Writing(read=read, written=PendingPut(source, to_write, fresh_until))
