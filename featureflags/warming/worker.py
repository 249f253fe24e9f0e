"""Works on a run: one range, or one after another until none is left."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.db import DatabaseError
from django.utils import timezone
from django.utils.translation import gettext_noop

from featureflags.cache import snapshot_store
from featureflags.core.conf import app_settings
from featureflags.warming.batches import CacheDown, Counts, warm_users
from featureflags.warming.leases import Claim, claim, finish, give_back, prolong
from featureflags.warming.progress import Report, report
from featureflags.warming.runs import Begun, begin, cancel, give_up, settle
from featureflags.warming.scope import Scope

logger = logging.getLogger(__name__)

BEATS_IN_LEASE = 6
MOST_SECONDS_BETWEEN_BEATS = 1.0
"""So that cancelling works, and progress shows, within a second."""
LOOK_SECONDS = 0.1
"""Between two attempts to claim while other workers hold every range."""
CACHE_DOWN = gettext_noop("The cache does not answer.")

Progress = Callable[[int], object]


class WarmingFailed(RuntimeError):
    """Some users, or the rules, are not in the cache. The message has the numbers."""


def warm(scope: Scope) -> Report:
    """Warm in this process, together with other workers of the same run; returns the report.

    Raises AnotherRun, DatabaseError, and TransactionManagementError within a transaction.
    """
    begun = begin(scope)
    work_on(begun)
    return report(begun.run)


def work_on(begun: Begun, progress: Progress | None = None) -> None:
    """Do one range after another until the run has ended; other workers may do some of them.

    `progress` gets the number of users after each batch. Ctrl-C cancels the run unless another
    process began it. Raises DatabaseError.
    """
    try:
        while (claimed := claim(begun.run)) is not None or not settle(begun.run):
            if claimed is None:
                time.sleep(LOOK_SECONDS)
            else:
                work(claimed, progress)
    except KeyboardInterrupt:
        if not begun.joined:
            cancel(begun.run)
        raise


def work(claimed: Claim, progress: Progress | None = None) -> None:
    """Warm one range. A failure is stored; a cache that is down ends the run.

    Raises DatabaseError: the lease expires by itself then.
    """
    counts = Counts()
    try:
        if not _wait_for_turn(claimed):
            return
        if _warmed(claimed, counts, progress):
            finish(claimed, counts)
    except CacheDown:
        if give_back(claimed, counts, CACHE_DOWN):
            time.sleep(snapshot_store.PAUSE_SECONDS)
        else:
            give_up(claimed.run, CACHE_DOWN)
    except DatabaseError:
        raise
    except Exception as error:
        # Its type alone: a message could name somebody.
        logger.exception("Range %d of cache warm-up %d failed.", claimed.number, claimed.run)
        give_back(claimed, counts, type(error).__name__)
    except KeyboardInterrupt:
        give_back(claimed, counts, "")
        raise


def _warmed(claimed: Claim, counts: Counts, progress: Progress | None) -> bool:
    """True once the range is warmed; False if the lease was lost."""
    every = min(MOST_SECONDS_BETWEEN_BEATS, app_settings().warm_lease_seconds / BEATS_IN_LEASE)
    beat_at = time.monotonic() + every
    for done in warm_users(claimed.users, force=claimed.force, kind=claimed.kind):
        counts.add(done)
        if progress is not None:
            progress(done.read)
        if time.monotonic() >= beat_at:
            if not prolong(claimed, counts):
                return False
            beat_at = time.monotonic() + every
    return True


def _wait_for_turn(claimed: Claim) -> bool:
    """Wait for `begins_at`; False if the run has ended in the meantime."""
    while True:
        left = (claimed.begins_at - timezone.now()).total_seconds()
        if left <= 0:
            return True
        time.sleep(min(left, MOST_SECONDS_BETWEEN_BEATS))
        if not prolong(claimed, Counts()):
            return False
