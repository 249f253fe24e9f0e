"""One range of users: read from the cache, then from the database, compared, and written.

The cache is read before the rows, so that whatever is written to a user meanwhile stands in the
way of the older row that we have (see `featureflags.cache.store`). Of what the cache holds, that
which equals the row and does not end soon stays as it is.

Hidden SQL: one query for the keys of a range, and one for each batch of `warm_batch` users. Memory
is that of one batch and the keys of one range.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import msgspec

from featureflags.cache import store
from featureflags.cache.entries import Entry, decode, is_entry
from featureflags.conf import app_settings
from users.querysets import UserQuerySet
from users.selectors import snapshots, user_keys
from users.snapshots import UserSnapshot


class CacheDown(RuntimeError):  # noqa: N818 - it reads as what happened
    """The cache did not take a batch."""


@dataclass(slots=True, kw_only=True)
class Counts:
    """Users. `read` = `written` + `kept` + `failed`."""

    read: int = 0
    written: int = 0
    kept: int = 0
    """Their entry is good, or is being changed by somebody else: it was left alone."""
    failed: int = 0
    """The cache did not take them."""

    def add(self, other: Counts) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


def warm_users(users: UserQuerySet, *, force: bool) -> Iterator[Counts]:
    """Warm these users, batch by batch; what each batch did.

    Raises CacheDown after the counts of the batch that failed, and DatabaseError.
    """
    keys = user_keys(users)
    size = app_settings().warm_batch
    for start in range(0, len(keys), size):
        batch = keys[start : start + size]
        done = _warm_batch(users, batch, force=force)
        yield done
        if done.failed:
            raise CacheDown


def _warm_batch(users: UserQuerySet, keys: list[str], *, force: bool) -> Counts:
    # The cache first: an entry that changes after this is not overwritten with older rows.
    source = store.read(keys)
    known = frozenset(keys)
    in_batch = users.filter(pk__gte=uuid.UUID(keys[0]), pk__lte=uuid.UUID(keys[-1]))
    # Of whoever was created meanwhile we do not know what the cache holds.
    rows = {row.key: row for row in snapshots(in_batch) if row.key in known}
    written = store.renew(source, _to_write(source, rows, force=force))
    if written is None:
        return Counts(read=len(rows), failed=len(rows))
    return Counts(read=len(rows), written=written, kept=len(rows) - written)


def _to_write(
    source: store.CacheRead, rows: Mapping[str, UserSnapshot], *, force: bool
) -> list[UserSnapshot]:
    """Those whose entry is missing, ends soon, or differs."""
    ends_soon = time.time() + app_settings().warm_renew_seconds
    return [
        row
        for key, row in rows.items()
        if force
        or (entry := _entry(source.stored.get(key))) is None
        or entry.fresh_until < ends_soon
        or entry.snapshot != row
    ]


def _entry(stored: bytes | None) -> Entry | None:
    try:
        return decode(stored) if stored is not None and is_entry(stored) else None
    except msgspec.DecodeError:
        return None
