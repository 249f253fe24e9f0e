"""How many users get each value of a flag, by the real SDK: over a sample, or over everybody.

No events are sent. A count over everybody goes in batches, by key. Each batch ends with one UPDATE of
the row that adds its numbers and moves `last_key` on: a worker that is killed in the middle has
changed nothing, and the next one counts no user twice. A worker holds the row by a lease; cancelling
takes the lease away.

Hidden SQL: one SELECT and one UPDATE for each batch, and one SELECT for each kind of rows that belong to users.
"""

from __future__ import annotations

import datetime
import logging
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from featureflags.audience.day_sample import SIZES, SMALL, day_sample
from featureflags.cache.compiled_rules import known_ruleset
from featureflags.core.times import now_in_microseconds
from featureflags.core.types import Account
from featureflags.evaluation import looking
from featureflags.evaluation.arguments import UNSET
from featureflags.evaluation.evaluate import evaluate_one
from featureflags.evaluation.whole_contexts import whole_contexts
from featureflags.inspection.outcomes import added
from featureflags.kinds.registry import user_kind
from featureflags.launchdarkly.client import feature_store, has_flags
from featureflags.models import FlagCount

logger = logging.getLogger(__name__)

BATCH: Final = 1_000
SAMPLE: Final = SIZES[SMALL]
LEASE: Final = datetime.timedelta(seconds=60)
"""Many times the duration of a batch."""
SECONDS_WAITED: Final = 10.0
"""How long a page may count by itself without a worker."""
KEPT: Final = 10
"""Counts of one flag that stay; older ones are deleted."""
MOST_ATTEMPTS: Final = 5
"""A count has failed when its worker has died this many times in the same batch."""

NO_FLAGS: Final = gettext_noop("LaunchDarkly has not sent any flags.")
NO_SAMPLE: Final = gettext_noop(
    "There was no time to draw a sample. The hourly count of segments draws one."
)
WORKER_DIED: Final = gettext_noop("Its worker died.")
State = FlagCount.State


class AlreadyCounting(Exception):
    """A count of this flag is already running."""


def count_sample(flag: str, *, by: Account | None = None) -> FlagCount:
    """Count a random sample now, or everybody if there are no more users. Raises AlreadyCounting."""
    users, is_sample = _sample()
    count = _begun(flag, is_sample=is_sample, users=len(users or ()), by=by)
    claimed = None if users is None else _claim(count.pk)
    if users is None:
        _end(FlagCount.objects.filter(pk=count.pk), State.FAILED, NO_SAMPLE)
    elif claimed is not None:
        _guarded(claimed, lambda: _add(claimed, users) and _end(_ours(claimed), State.DONE))
    count.refresh_from_db()
    return count


def begin(flag: str, *, by: Account | None = None) -> FlagCount:
    """Create a count over everybody; `work` does it. Raises AlreadyCounting."""
    return _begun(flag, is_sample=False, users=user_kind().rows().count(), by=by)


def work(pk: int, *, seconds: float | None = None) -> None:
    """Continue a count to its end, or for so many seconds. Does nothing while another worker has it.

    A failure ends the count and is stored in its row. Raises DatabaseError: the lease expires then,
    and another worker may continue.
    """
    count = _claim(pk)
    if count is not None:
        ends = None if seconds is None else time.monotonic() + seconds
        _guarded(count, lambda: _work(count, ends))


def cancel(pk: int) -> bool:
    """Cancel a count. True if it was running; its worker stops after the current batch."""
    return _end(FlagCount.objects.filter(pk=pk), State.CANCELLED)


def abandoned() -> list[int]:
    """Running counts without a live lease: their worker was killed or ran out of time."""
    free = FlagCount.objects.filter(state=State.RUNNING).exclude(lease_until__gt=timezone.now())
    return list(free.values_list("pk", flat=True))


def is_abandoned(count: FlagCount) -> bool:
    """True for a running count without a live lease."""
    lease = count.lease_until
    return count.state == State.RUNNING and (lease is None or lease <= timezone.now())


def _work(count: FlagCount, ends: float | None) -> None:
    kind = user_kind()
    everybody = kind.rows().order_by(kind.key)
    while True:
        last = kind.parse_key(count.last_key)
        rest = everybody if last is None else everybody.filter(**{f"{kind.key}__gt": last})
        users = user_kind().snapshots(rest[:BATCH])
        if not _add(count, users):
            return
        if len(users) < BATCH:
            _end(_ours(count), State.DONE)
            return
        if ends is not None and time.monotonic() >= ends:
            _ours(count).update(lease_until=None)
            return


def _guarded(count: FlagCount, do: Callable[[], object]) -> None:
    try:
        with looking():
            if has_flags():
                do()
            else:
                _end(_ours(count), State.FAILED, NO_FLAGS)
    except DatabaseError:
        raise
    except Exception as error:
        # Its type alone: a message could name somebody.
        logger.exception("The count of the flag %s failed.", count.flag)
        _end(_ours(count), State.FAILED, type(error).__name__)


def _begun(flag: str, *, is_sample: bool, users: int, by: Account | None) -> FlagCount:
    try:
        with transaction.atomic():
            count: FlagCount = FlagCount.objects.create(
                flag=flag, is_sample=is_sample, users_planned=users, started_by=by
            )
    except IntegrityError as error:
        raise AlreadyCounting(flag) from error
    kept = FlagCount.objects.filter(flag=flag).values_list("pk", flat=True)[:KEPT]
    FlagCount.objects.filter(flag=flag).exclude(pk__in=list(kept)).delete()
    return count


def _claim(pk: int) -> FlagCount | None:
    """Take the lease; None if the count has ended or another worker holds it."""
    with transaction.atomic():
        count = FlagCount.objects.select_for_update().filter(pk=pk).first()
        if count is None or not is_abandoned(count):
            return None
        if count.attempts >= MOST_ATTEMPTS:
            _end(FlagCount.objects.filter(pk=pk), State.FAILED, WORKER_DIED)
            return None
        count.claim = uuid.uuid4()
        count.attempts += 1
        count.lease_until = timezone.now() + LEASE
        count.save(update_fields=["claim", "attempts", "lease_until"])
    return count


def _add(count: FlagCount, users: list[Any]) -> bool:
    """Count a batch and store it; False if the lease was lost. Changes `count`."""
    loaded = known_ruleset()
    version = _version_of(count.flag)
    if users:
        now = now_in_microseconds()
        contexts = whole_contexts(users, loaded.ruleset, now=now)
        evaluations = (evaluate_one(count.flag, each, UNSET, None) for (each,) in contexts)
        count.tally = added(count.tally, evaluations)
        count.users_counted += len(users)
        count.last_key = users[-1].key
    if not count.ruleset_version:
        count.flag_version, count.ruleset_version = version, loaded.version
    elif (count.flag_version, count.ruleset_version) != (version, loaded.version):
        count.has_changed = True
    return bool(
        _ours(count)
        .filter(state=State.RUNNING)
        .update(
            tally=count.tally,
            users_counted=count.users_counted,
            last_key=count.last_key,
            flag_version=count.flag_version,
            ruleset_version=count.ruleset_version,
            has_changed=count.has_changed,
            attempts=0,
            lease_until=timezone.now() + LEASE,
        )
    )


def _ours(count: FlagCount) -> QuerySet[FlagCount]:
    """The row, as long as our lease holds."""
    return FlagCount.objects.filter(pk=count.pk, claim=count.claim)


def _end(counts: QuerySet[FlagCount], state: str, error: str = "") -> bool:
    """End the running ones among them; True if there was one."""
    ended: int = counts.filter(state=State.RUNNING).update(
        state=state, error=error, finished_at=timezone.now(), lease_until=None, claim=None
    )
    return ended > 0


def _version_of(flag: str) -> int:
    raw = feature_store().raw()["flags"].get(flag)
    version = None if raw is None else raw.get("version")
    return version if isinstance(version, int) else 0


def _sample() -> tuple[list[Any] | None, bool]:
    """Random users, sorted by key; False beside them if these are all users. None: there was no time."""
    kind = user_kind()
    ordered = kind.rows().order_by(kind.key)
    if ordered.values("pk")[SAMPLE : SAMPLE + 1].count() == 0:
        return kind.snapshots(ordered), False
    sample = day_sample(kind, seconds=SECONDS_WAITED)
    if sample is None:
        return None, True
    return sorted(kind.snapshots(sample.rows(SMALL)), key=lambda user: str(user.key)), True
