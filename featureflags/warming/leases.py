"""Who does which range: claimed for a while, prolonged, and given back, done or not.

A worker that is killed holds its range until its lease ends; then whoever looks for work takes it.
A message of the queue only says that a range may be due: the claim decides, so that a message that
comes twice, or an hour late, does no harm.
"""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from featureflags.core.conf import app_settings
from featureflags.models import WarmRange, WarmRun
from featureflags.warming.batches import Counts
from featureflags.warming.ranges import within
from featureflags.warming.runs import locked
from featureflags.warming.scope import users_seen_since
from users.models import User
from users.querysets import UserQuerySet
from users.snapshots import SNAPSHOT_VERSION

MOST_ATTEMPTS = 5
"""A range that kills its worker, or fails, so often has failed."""
SENT_AHEAD = 2
"""Messages that wait for a worker: so many are enough to keep all busy, and no more stand in the
way of other tasks."""
AHEAD = datetime.timedelta(seconds=1)
SENT_AGAIN_AFTER = 2
"""Leases: a message that nobody has taken for so long may be lost with a worker that had it."""
WORKER_DIED = gettext_noop("Its worker died.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A range that is ours until the lease ends."""

    run: int
    number: int
    row: int
    token: uuid.UUID
    begins_at: datetime.datetime
    """Not before this, by the limit of users per second."""
    users: UserQuerySet[User]
    force: bool


def claim(run: int, number: int | None = None) -> Claim | None:
    """Take a range, or any that is due; None if it is not to be had, or the run has ended.

    Nor is it for a release with another version of snapshots: these are for that one alone.
    """
    with transaction.atomic():
        row = locked(run)
        if row is None or row.snapshot_version != SNAPSHOT_VERSION:
            return None
        now = timezone.now()
        due = row.ranges.filter(_is_free(now))
        if number is not None:
            due = due.filter(number=number)
        worn_out = due.filter(attempts__gte=MOST_ATTEMPTS)
        worn_out.filter(error="").update(state=WarmRange.State.FAILED, error=WORKER_DIED)
        worn_out.update(state=WarmRange.State.FAILED)
        found = due.order_by("number").first()
        return None if found is None else _taken(row, found, now)


def prolong(claimed: Claim, counts: Counts) -> bool:
    """Say that we are alive, and how far; False if we are to stop, since the run has ended or the
    range has passed to somebody else."""
    now = timezone.now()
    with transaction.atomic():
        if locked(claimed.run) is None:
            return False
        prolonged = _ours(claimed).update(lease_until=now + _lease(), **_columns(counts))
        if prolonged:
            WarmRun.objects.filter(pk=claimed.run).update(progressed_at=now)
    return bool(prolonged)


def finish(claimed: Claim, counts: Counts) -> bool:
    """The range is done. False if it is ours no more."""
    return _leave(claimed, counts, WarmRange.State.DONE)


def give_back(claimed: Claim, counts: Counts, error: str) -> bool:
    """The range was not done. Another attempt will be made; False if this was the last."""
    _leave(claimed, counts, WarmRange.State.WAITING, error)
    left = WarmRange.objects.filter(pk=claimed.row, attempts__lt=MOST_ATTEMPTS)
    return left.exists()


def to_send(run: int) -> list[int]:
    """Numbers of the ranges that a message is to be sent for now: they are noted as sent.

    As many as are free by `warm_at_once`, and few ahead of those who will take them.
    """
    with transaction.atomic():
        row = locked(run)
        if row is None or row.snapshot_version != SNAPSHOT_VERSION:
            return []
        now = timezone.now()
        again = now - SENT_AGAIN_AFTER * _lease()
        waiting = row.ranges.filter(state=WarmRange.State.WAITING)
        running = row.ranges.filter(state=WarmRange.State.RUNNING, lease_until__gt=now).count()
        sent = waiting.filter(sent_at__gt=again).count()
        room = SENT_AHEAD - sent
        most = 1 if _is_ahead(row, now) else app_settings().warm_at_once
        if most:
            room = min(room, most - running - sent)
        if room <= 0:
            return []
        recently_sent = Q(state=WarmRange.State.WAITING, sent_at__gt=again)
        due = row.ranges.filter(_is_free(now)).exclude(recently_sent).order_by("number")
        numbers = list(due.values_list("number", flat=True)[:room])
        # A worker that is only slow finds that the range is its own no more.
        row.ranges.filter(number__in=numbers).update(
            state=WarmRange.State.WAITING, claim=None, lease_until=None, sent_at=now
        )
    return numbers


def _is_free(now: datetime.datetime) -> Q:
    lost = Q(state=WarmRange.State.RUNNING, lease_until__lte=now)
    return Q(state=WarmRange.State.WAITING) | lost


def _taken(run: WarmRun, row: WarmRange, now: datetime.datetime) -> Claim:
    begins_at = _paced(run, row, now)
    token = uuid.uuid4()
    row.state, row.claim, row.attempts = WarmRange.State.RUNNING, token, row.attempts + 1
    row.lease_until, row.sent_at = begins_at + _lease(), None
    row.save(update_fields=["state", "claim", "attempts", "lease_until", "sent_at"])
    return Claim(
        run=run.pk,
        number=row.number,
        row=row.pk,
        token=token,
        begins_at=begins_at,
        users=within(users_seen_since(run.seen_since), row.first, row.until),
        force=run.force,
    )


def _paced(run: WarmRun, row: WarmRange, now: datetime.datetime) -> datetime.datetime:
    """When the range may begin; the time that its users take is taken by it."""
    limit = app_settings().warm_users_per_second
    if not limit:
        return now
    begins_at = now if run.paced_until is None else max(now, run.paced_until)
    run.paced_until = begins_at + datetime.timedelta(seconds=row.users_planned / limit)
    run.save(update_fields=["paced_until"])
    return begins_at


def _is_ahead(run: WarmRun, now: datetime.datetime) -> bool:
    """Whether the limit of users per second is what counts: one worker that waits is enough."""
    return run.paced_until is not None and run.paced_until > now + AHEAD


def _leave(claimed: Claim, counts: Counts, state: WarmRange.State, error: str = "") -> bool:
    with transaction.atomic():
        run = locked(claimed.run)
        left = (
            0
            if run is None
            else _ours(claimed).update(
                state=state, claim=None, lease_until=None, error=error, **_columns(counts)
            )
        )
        if left:
            WarmRun.objects.filter(pk=claimed.run).update(progressed_at=timezone.now())
    return bool(left)


def _ours(claimed: Claim) -> QuerySet[WarmRange]:
    return WarmRange.objects.filter(pk=claimed.row, claim=claimed.token)


def _columns(counts: Counts) -> dict[str, int]:
    return {
        "users_read": counts.read,
        "users_written": counts.written,
        "users_kept": counts.kept,
        "users_failed": counts.failed,
    }


def _lease() -> datetime.timedelta:
    return datetime.timedelta(seconds=app_settings().warm_lease_seconds)
