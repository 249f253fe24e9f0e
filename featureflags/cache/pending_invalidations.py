"""The cache as it may be trusted: what it has missed is made up for before anybody reads it.

A write that changes a user leaves a `PendingInvalidation` in its own transaction, and removes it
once the cache has taken the markers. A process that dies in between, or a cache that was cut off,
leaves the row. The ruleset version lives for `store.VERSION_SECONDS` in the cache; whoever finds it
gone reads it from the database, and in the same query whether anything is pending. So each write
is heard of within 5 seconds of the cache's return, whatever process died meanwhile, and no process
polls.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass

from django.db import DatabaseError, transaction
from django.db.models import Exists

from featureflags.cache import snapshot_store
from featureflags.cache.pipelined import ReadAhead
from featureflags.cache.snapshot_store import CacheRead
from featureflags.core.monitoring import report
from featureflags.core.uncached import fresh_rows
from featureflags.models import PendingInvalidation
from featureflags.models.versions import RulesetVersion

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 5
"""Of up to `users.signals.CHUNK` users each. Whoever finds more goes to the database meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What the database says: the ruleset version, and whether the cache is to be told of writes."""

    version: str
    is_pending: bool


def read(user_keys: Collection[str]) -> CacheRead:
    """As `store.read`, of a cache that has missed nothing. With a version, unless all has failed.

    Hidden SQL: one query every `store.VERSION_SECONDS`, or where the cache does not answer. Never
    raises: `database_failed` says that the database did not answer.
    """
    return _coherent(user_keys, snapshot_store.read(user_keys))


class CoherentRead(ReadAhead):
    """As `read`, begun: of the moment at which this was, or later."""

    __slots__ = ()

    def result(self) -> CacheRead:
        return _coherent(self._user_keys, super().result())


def _coherent(user_keys: Collection[str], found: CacheRead) -> CacheRead:
    if found.version is not None:
        return found
    try:
        in_force = read_in_force()
        if in_force.is_pending and not found.failed:
            found = _after_telling(user_keys, found)
    except DatabaseError as error:
        report_database(error)
        return found.without_database()
    snapshot_store.fill_version(found, in_force.version)
    return found.with_version(in_force.version)


def read_in_force() -> InForce:
    """One query; the version as this connection sees it. Raises DatabaseError."""
    pending = Exists(PendingInvalidation.objects.all())
    with fresh_rows():
        row = RulesetVersion.objects.annotate(pending=pending).filter(pk=1).first()
        if row is None:
            return InForce(version="0", is_pending=PendingInvalidation.objects.exists())
    return InForce(version=str(row), is_pending=row.pending)


def tell_pending(rows: int = ROWS_AT_ONCE) -> bool:
    """Put markers for the oldest pending writes; whether nothing is pending any more.

    Two or three queries. Raises DatabaseError.
    """
    with fresh_rows():
        pending = list(PendingInvalidation.objects.order_by("pk").values_list("pk", "keys")[:rows])
        if not snapshot_store.drop({key for _, keys in pending for key in keys}):
            return False
        forget_pending([pk for pk, _ in pending])
        done = (
            len(pending) < rows
            or not PendingInvalidation.objects.filter(pk__gt=pending[-1][0]).exists()
        )
    if pending:
        report(
            logger, "cache_made_up_for", "The cache was told of writes that it had missed before."
        )
    return done


def forget_pending(ids: Collection[int]) -> None:
    """Remove rows of which the cache has been told, once the transaction at hand has committed.

    Never raises: a row that stays is told once more.
    """
    if ids:
        transaction.on_commit(lambda: _remove(ids), robust=True)


def _after_telling(user_keys: Collection[str], before: CacheRead) -> CacheRead:
    """What the cache says once it knows; one that cannot be told, or not of all, is not asked."""
    if not tell_pending():
        return CacheRead(began=before.began, failed=True)
    return snapshot_store.read(user_keys)


def _remove(ids: Collection[int]) -> None:
    try:
        PendingInvalidation.objects.filter(pk__in=ids).delete()
    except DatabaseError as error:
        report_database(error)


def report_database(error: DatabaseError) -> None:
    name = type(error).__name__
    report(logger, "database_unavailable", "The database failed under a flag check: %s", name)
