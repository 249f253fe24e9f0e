"""The life of a run: begin or join, cancel, settle when no range is left, give up.

Every step locks the run's row first and ranges second, so there is no deadlock. Each step is one
transaction, and no transaction is open while users are read.
"""

from __future__ import annotations

import datetime
import logging
from dataclasses import dataclass
from functools import partial

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from featureflags.cache.compiled_rules import renew_spare
from featureflags.core.conf import app_settings
from featureflags.kinds.registry import fingerprint
from featureflags.models import WarmRange, WarmRun
from featureflags.warming.ranges import Bounds, plan
from featureflags.warming.scope import Scope, users_seen_since

logger = logging.getLogger(__name__)

KEPT_RUNS = 20
"""Older runs are deleted when a new one begins."""
GIVEN_UP_AFTER = datetime.timedelta(hours=1)
"""A run without progress for so long is given up, so that it does not block new ones."""
GIVEN_UP = gettext_noop("It made no progress for an hour.")


class AnotherRun(RuntimeError):
    """A narrower run is under way. The message names it and how to cancel it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    run: int
    joined: bool
    """The run was under way already."""


def begin(scope: Scope, *, by_workers: bool = False) -> Begun:
    """Plan a run, or join the current one if its scope is equal or wider; a wider one is refused.

    `by_workers`: Celery workers do it. The work itself is in `worker` and `featureflags.tasks`. The
    rules are cached too, for processes that start while the database is down. Raises AnotherRun,
    DatabaseError, and TransactionManagementError inside a transaction, which may be rolled back.
    """
    if transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError(
            "Warm the cache outside of a transaction, or after it: transaction.on_commit."
        )
    give_up_stalled()
    joined = _joined(scope, by_workers=by_workers)
    if joined is not None:
        return joined
    spare = renew_spare()
    since = scope.seen_since(timezone.now())
    bounds = [
        each
        for kind in scope.kinds()
        for each in plan(users_seen_since(since, kind), _range_size(), kind)
    ]
    try:
        run = _create(scope, since, bounds, spare=spare, by_workers=by_workers)
    except IntegrityError:
        # Another process was faster.
        return begin(scope, by_workers=by_workers)
    settle(run.pk)
    return Begun(run=run.pk, joined=False)


def cancel(run: int) -> bool:
    """Cancel a run; its workers stop within about a second. False if it had ended."""
    return _end(run, WarmRun.State.CANCELLED)


def give_up(run: int, why: str) -> bool:
    """End a run as failed; ranges that are not done stay so."""
    return _end(run, WarmRun.State.FAILED, why)


def give_up_stalled() -> int:
    """Give up runs without progress, of other releases too; returns how many."""
    before = timezone.now() - GIVEN_UP_AFTER
    stalled = WarmRun.objects.filter(state=WarmRun.State.RUNNING, progressed_at__lt=before)
    return sum(give_up(run, GIVEN_UP) for run in stalled.values_list("pk", flat=True))


def settle(run: int) -> bool:
    """End a run whose ranges are all done or failed; True if it has ended."""
    with transaction.atomic():
        row = locked(run)
        if row is None:
            return True
        unsettled = {WarmRange.State.WAITING, WarmRange.State.RUNNING}
        states = set(row.ranges.order_by().values_list("state", flat=True).distinct())
        if not states.isdisjoint(unsettled):
            return False
        failed = WarmRange.State.FAILED in states or not row.spare
        row.state = WarmRun.State.FAILED if failed else WarmRun.State.DONE
        row.finished_at = row.progressed_at = timezone.now()
        row.save(update_fields=["state", "finished_at", "progressed_at"])
    if failed:
        logger.error("Cache warm-up %d failed: see the admin.", run)
    else:
        logger.info("Cache warm-up %d is done.", run)
    return True


def under_way() -> list[int]:
    """The current runs of this release: at most one."""
    return list(_running().values_list("pk", flat=True))


def for_workers() -> list[int]:
    """Current runs for workers: begun for them, or left by a killed process."""
    silent = timezone.now() - datetime.timedelta(seconds=2 * app_settings().warm_lease_seconds)
    theirs = Q(by_workers=True) | Q(progressed_at__lt=silent)
    return list(_running().filter(theirs).values_list("pk", flat=True))


def locked(run: int) -> WarmRun | None:
    """The run's row, locked until the transaction ends; None if the run has ended."""
    rows = WarmRun.objects.select_for_update().filter(pk=run)
    return rows.filter(state=WarmRun.State.RUNNING).first()


def scope_of(run: WarmRun) -> Scope:
    return Scope(days=run.days, force=run.force, kind=run.kind)


def _running() -> QuerySet[WarmRun]:
    return WarmRun.objects.filter(
        state=WarmRun.State.RUNNING, snapshot_version=fingerprint()
    ).order_by("pk")


def _joined(scope: Scope, *, by_workers: bool) -> Begun | None:
    """Join the current run; None without a current run. Raises AnotherRun."""
    run = _running().first()
    if run is None:
        return None
    if not scope_of(run).covers(scope):
        raise AnotherRun(
            f"Cache warm-up {run.pk} is running with a narrower scope ({scope_of(run)}). Wait for its"
            " end, or cancel it: manage.py warm_contexts --cancel."
        )
    if by_workers:
        _running().filter(pk=run.pk).update(by_workers=True)
    return Begun(run=run.pk, joined=True)


def _range_size() -> int:
    """Users per range; at most one second of the limit, so that the pace is even."""
    settings = app_settings()
    limit = settings.warm_users_per_second
    return min(settings.warm_range, max(limit, 1)) if limit else settings.warm_range


def _create(
    scope: Scope,
    since: datetime.datetime | None,
    bounds: list[Bounds],
    *,
    spare: bool,
    by_workers: bool,
) -> WarmRun:
    with transaction.atomic():
        run = WarmRun.objects.create(
            days=scope.days,
            seen_since=since,
            force=scope.force,
            by_workers=by_workers,
            kind=scope.kind,
            snapshot_version=fingerprint(),
            ranges_planned=len(bounds),
            users_planned=sum(each.users for each in bounds),
            spare=spare,
        )
        as_row = partial(WarmRange, run=run)
        WarmRange.objects.bulk_create(
            (
                as_row(
                    number=number,
                    kind=each.kind,
                    first=each.first,
                    until=each.until,
                    users_planned=each.users,
                )
                for number, each in enumerate(bounds, start=1)
            ),
            batch_size=1000,
        )
        kept = WarmRun.objects.order_by("-pk").values_list("pk", flat=True)[:KEPT_RUNS]
        WarmRun.objects.exclude(pk__in=list(kept)).exclude(state=WarmRun.State.RUNNING).delete()
    return run


def _end(run: int, state: WarmRun.State, error: str = "") -> bool:
    with transaction.atomic():
        row = locked(run)
        if row is None:
            return False
        row.state, row.error, row.finished_at = state, error, timezone.now()
        row.save(update_fields=["state", "error", "finished_at"])
        running = row.ranges.filter(state=WarmRange.State.RUNNING)
        running.update(state=WarmRange.State.WAITING, claim=None, lease_until=None)
    if error:
        logger.error("Cache warm-up %d was given up: %s", run, error)
    return True
