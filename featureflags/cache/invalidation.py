"""What a write does to the caches: at once, so that nobody fills them meanwhile, and after commit.

What the cache is to be told is written into the database with the change itself, see `coherence`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

from django.db import DatabaseError, transaction

from featureflags.cache import pending_invalidations, snapshot_store
from featureflags.cache.compiled_rules import forget_recent
from featureflags.cache.unit_of_work import current_unit
from featureflags.models import PendingInvalidation


def drop_snapshots(user_keys: Collection[str]) -> bool:
    """Forget these users: now, and again once the transaction at hand has committed.

    For writes outside the ORM call it yourself, in their transaction or after the commit. Outside
    of a transaction it returns whether the cache was told; if not, it is told later. Hidden SQL:
    one insert, and one delete after the commit.
    """
    keys = list(user_keys)
    if not keys:
        return True
    forget_in_unit(keys)
    if transaction.get_connection().in_atomic_block:
        snapshot_store.mark_open(keys)
        _after_commit(keys, partial(_drop, keys))
        return True
    return _told_or_pending(keys, snapshot_store.drop(keys))


def announce_drop(user_keys: Collection[str]) -> None:
    """Before a write that may have no transaction of its own: should this process die behind the
    write, others drop these users all the same."""
    keys = list(user_keys)
    if keys and not transaction.get_connection().in_atomic_block:
        snapshot_store.mark_open(keys)
        PendingInvalidation.objects.create(keys=keys)


def drop_ruleset_version() -> None:
    """Make every later unit of work see the version that was raised just now."""
    _forget_rules()
    if transaction.get_connection().in_atomic_block:
        snapshot_store.mark_version_open()
        transaction.on_commit(_publish_version, robust=True)
    else:
        _publish_version()


def rewrite_last_seen(user_keys: Collection[str], last_seen_at: int) -> None:
    """Once committed, set `last_seen_at` (µs) in the cached snapshots, which stay otherwise."""
    keys = list(user_keys)
    if transaction.get_connection().in_atomic_block:
        _after_commit(keys, partial(snapshot_store.rewrite_last_seen, keys, last_seen_at))
    else:
        _told_or_pending(keys, snapshot_store.rewrite_last_seen(keys, last_seen_at))


def _after_commit(keys: list[str], tell: Callable[[], bool]) -> None:
    """Tell the cache once this transaction has committed; the row says so until it was told."""
    pending = PendingInvalidation.objects.create(keys=keys).pk

    def after_commit() -> None:
        if tell():
            pending_invalidations.forget_pending([pending])

    transaction.on_commit(after_commit, robust=True)


def _told_or_pending(keys: list[str], told: bool) -> bool:
    if not told:
        PendingInvalidation.objects.create(keys=keys)
    return told


def _drop(keys: list[str]) -> bool:
    forget_in_unit(keys)
    return snapshot_store.drop(keys)


def _publish_version() -> None:
    """Let the cache have the version that has been committed. What it is not told it reads anew
    within `store.VERSION_SECONDS`."""
    _forget_rules()
    try:
        snapshot_store.publish_version(pending_invalidations.read_in_force().version)
    except DatabaseError as error:
        pending_invalidations.report_database(error)


def forget_in_unit(keys: Collection[str]) -> None:
    """Ask anew for these users within the unit of work at hand."""
    unit = current_unit()
    if unit is not None:
        unit.forget_users(keys)


def _forget_rules() -> None:
    forget_recent()
    unit = current_unit()
    if unit is not None:
        unit.forget_ruleset()
