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
from featureflags.warming.scope import Aim

logger = logging.getLogger(__name__)

BEATS_IN_LEASE = 6
MOST_SECONDS_BETWEEN_BEATS = 1.0
"""Within which somebody who cancels is heard, and progress is seen."""
LOOK_SECONDS = 0.1
"""Between two looks at ranges that others have."""
CACHE_DOWN = gettext_noop("The cache does not answer.")

Progress = Callable[[int], object]


class WarmingFailed(RuntimeError):  # noqa: N818 - it reads as what happened
    """Some users, or the rules, are not in the cache. The message tells how many."""


def warm(aim: Aim) -> Report:
    """Warm in this process, together with whoever is at it already; how it ended.

    Raises AnotherRun, DatabaseError, and TransactionManagementError within a transaction.
    """
    begun = begin(aim)
    work_on(begun)
    return report(begun.run)


def work_on(begun: Begun, progress: Progress | None = None) -> None:
    """Do one range after another until the run has ended; others may do some of them.

    `progress` is called after each batch with the number of its users. Ctrl-C cancels the run,
    unless somebody else had begun it. Raises DatabaseError.
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
    """Warm one range. Its failure is noted, and ends the run where others would fail as well.

    Raises DatabaseError: the claim ends by itself then.
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
        logger.exception("Range %d of warming %d failed.", claimed.number, claimed.run)
        give_back(claimed, counts, type(error).__name__)
    except KeyboardInterrupt:
        give_back(claimed, counts, "")
        raise


def _warmed(claimed: Claim, counts: Counts, progress: Progress | None) -> bool:
    """Whether all of the range was warmed; False if it was taken from us."""
    every = min(MOST_SECONDS_BETWEEN_BEATS, app_settings().warm_lease_seconds / BEATS_IN_LEASE)
    beat_at = time.monotonic() + every
    for done in warm_users(claimed.users, force=claimed.force):
        counts.add(done)
        if progress is not None:
            progress(done.read)
        if time.monotonic() >= beat_at:
            if not prolong(claimed, counts):
                return False
            beat_at = time.monotonic() + every
    return True


def _wait_for_turn(claimed: Claim) -> bool:
    """Wait until the limit of users per second lets us begin; False if the run ended meanwhile."""
    while True:
        left = (claimed.begins_at - timezone.now()).total_seconds()
        if left <= 0:
            return True
        time.sleep(min(left, MOST_SECONDS_BETWEEN_BEATS))
        if not prolong(claimed, Counts()):
            return False
