"""Puts the snapshots of many users into the cache before anybody asks: one core for the command
`warm_contexts` and the nightly task.

Hidden SQL: two queries for each batch (`warm_batch` users), by ranges of the key, so that memory
stays flat and the last batch costs what the first does.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from django.db import transaction

from featureflags.cache import store
from featureflags.cache.rulesets import renew_spare
from featureflags.conf import app_settings
from users.models import User
from users.querysets import UserQuerySet
from users.selectors import snapshots_by_key

MOST_TRIES = 3
"""For one batch. After a failure the store rests for `store.PAUSE_SECONDS`: so do we."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmed:
    """What one warming did. `read` = `written` + `kept` + `failed`."""

    read: int
    """Users."""
    written: int
    kept: int
    """Their entry was written by somebody else, or is being changed: it was left alone."""
    failed: int
    """The cache did not take them."""
    spare: bool
    """Whether the cache holds the rules, for processes that start without a database."""
    complete: bool
    """False: it was given up early, since the cache does not answer."""
    seconds: float

    @property
    def succeeded(self) -> bool:
        return self.complete and self.spare and not self.failed

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "seconds": round(self.seconds, 3)}

    def __str__(self) -> str:
        text = (
            f"{self.read} users read, {self.written} written, {self.kept} kept as they were, "
            f"{self.failed} failed, {self.seconds:.1f} s."
        )
        if not self.complete:
            text += " Given up early: the cache does not answer."
        return text if self.spare else text + " The cache did not take the segments."


class WarmingFailed(RuntimeError):  # noqa: N818 - it reads as what happened
    """Some users, or the rules, are not in the cache. The message tells how many."""


def users_to_warm(days: float | None = None, *, everyone: bool = False) -> UserQuerySet:
    """Active users seen within `days` (of 24 hours; None: the setting), or everyone."""
    users: UserQuerySet = User.objects.all()
    if everyone:
        return users
    return users.seen_within(app_settings().warm_active_days if days is None else days)


def warm(users: UserQuerySet, progress: Callable[[int], object] | None = None) -> Warmed:
    """Write the snapshots of these users; an entry that is there begins its time anew.

    `progress` is called after each batch with the number of its users. Raises DatabaseError, and
    TransactionManagementError within a transaction, whose rows may never be committed.
    """
    if transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError(
            "Warm the cache outside of a transaction, or after it: transaction.on_commit."
        )
    began = time.monotonic()
    spare = renew_spare()
    read = written = failed = 0
    complete = True
    for keys in _batches(users, app_settings().warm_batch):
        found, filled = _warm_batch(keys)
        read += found
        written += filled or 0
        if progress is not None:
            progress(len(keys))
        if filled is None:
            failed += found
            complete = False
            break
    return Warmed(
        read=read,
        written=written,
        kept=read - written - failed,
        failed=failed,
        spare=spare,
        complete=complete,
        seconds=time.monotonic() - began,
    )


def _batches(users: UserQuerySet, size: int) -> Iterator[list[uuid.UUID]]:
    """Keys in their order. Whoever is created meanwhile may be left out: nobody is twice."""
    ordered = users.order_by("pk").values_list("pk", flat=True)
    keys = list(ordered[:size])
    while keys:
        yield keys
        keys = list(ordered.filter(pk__gt=keys[-1])[:size])


def _warm_batch(keys: list[uuid.UUID]) -> tuple[int, int | None]:
    """How many users were found, and how many entries written; None if the cache failed."""
    names = [str(key) for key in keys]
    found = len(names)
    for attempt in range(MOST_TRIES):
        if attempt:
            time.sleep(store.PAUSE_SECONDS)
        # The cache first: an entry that changes after this is not overwritten with older rows.
        source = store.read(names)
        if source.failed:
            continue
        snapshots = snapshots_by_key(names)
        found = len(snapshots)
        written = store.renew(source, list(snapshots.values()))
        if written is not None:
            return found, written
    return found, None
