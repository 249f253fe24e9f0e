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
from collections.abc import Iterator
from dataclasses import dataclass, fields

from featureflags.cache import entries, store
from featureflags.conf import app_settings
from users.querysets import UserQuerySet
from users.selectors import snapshot_values, user_keys


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
    if source.failed:
        return Counts(read=len(keys), failed=len(keys))
    known = frozenset(keys)
    fresh_until = store.fresh_until_now()
    good_until = int(time.time()) + app_settings().warm_renew_seconds
    head, stored = entries.head(fresh_until), source.stored
    read, to_write = 0, dict[str, bytes]()
    in_batch = users.filter(pk__gte=uuid.UUID(keys[0]), pk__lte=uuid.UUID(keys[-1]))
    for values in snapshot_values(in_batch):
        key = values[0]
        if key not in known:
            # Created meanwhile: we do not know what the cache holds of them.
            continue
        read += 1
        snapshot, before = entries.encode_fields(values), stored.get(key)
        if before is None or force or entries.fresh_until_if_same(before, snapshot) < good_until:
            to_write[key] = head + snapshot
    written = store.renew(source, to_write, fresh_until)
    if written is None:
        return Counts(read=read, failed=read)
    return Counts(read=read, written=written, kept=read - written)
