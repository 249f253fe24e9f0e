"""Leases on ranges: a worker claims one, prolongs the lease, and finishes or gives it back.

A killed worker keeps its range until the lease expires; then another worker may claim it. A queue
message is only a hint that a range may be due: the claim decides, so a message may come twice or an
hour late.
"""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from featureflags.core.conf import app_settings
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import fingerprint, kind_or_user
from featureflags.models import WarmRange, WarmRun
from featureflags.warming.batches import Counts
from featureflags.warming.ranges import within
from featureflags.warming.runs import locked
from featureflags.warming.scope import users_seen_since

MOST_ATTEMPTS = 5
"""A range whose worker died, or failed, so often has failed."""
SENT_AHEAD = 2
"""Messages that may wait in the queue: enough to keep workers busy, without delaying other tasks."""
AHEAD = datetime.timedelta(seconds=1)
SENT_AGAIN_AFTER = 2
"""In leases: a message that no worker took for so long is taken for lost and sent again."""
WORKER_DIED = gettext_noop("Its worker died.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A range that is ours until the lease expires."""

    run: int
    number: int
    row: int
    token: uuid.UUID
    begins_at: datetime.datetime
    """The earliest start, from the limit of users per second."""
    users: QuerySet[Any]
    kind: CompiledKind
    force: bool


def claim(run: int, number: int | None = None) -> Claim | None:
    """Claim this range, or any that is due; None if it is not free or the run has ended.

    A release with another snapshot version gets None: its entries would be of no use to the run.
    """
    with transaction.atomic():
        row = locked(run)
        if row is None or row.snapshot_version != fingerprint():
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
    """Prolong the lease and store the counts; False if the run has ended or the lease was lost."""
    now = timezone.now()
    with transaction.atomic():
        if locked(claimed.run) is None:
            return False
        prolonged = _ours(claimed).update(lease_until=now + _lease(), **_columns(counts))
        if prolonged:
            WarmRun.objects.filter(pk=claimed.run).update(progressed_at=now)
    return bool(prolonged)


def finish(claimed: Claim, counts: Counts) -> bool:
    """Mark the range as done; False if the lease was lost."""
    return _leave(claimed, counts, WarmRange.State.DONE)


def give_back(claimed: Claim, counts: Counts, error: str) -> bool:
    """Release a range that was not done; False if no attempt is left."""
    _leave(claimed, counts, WarmRange.State.WAITING, error)
    left = WarmRange.objects.filter(pk=claimed.row, attempts__lt=MOST_ATTEMPTS)
    return left.exists()


def to_send(run: int) -> list[int]:
    """The ranges for which messages should be sent now; they are stored as sent.

    At most `warm_at_once` run together, and few messages are sent ahead of the workers.
    """
    with transaction.atomic():
        row = locked(run)
        if row is None or row.snapshot_version != fingerprint():
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
        # A worker that was only slow finds that it has lost the lease.
        row.ranges.filter(number__in=numbers).update(
            state=WarmRange.State.WAITING, claim=None, lease_until=None, sent_at=now
        )
    return numbers


def _is_free(now: datetime.datetime) -> Q:
    lost = Q(state=WarmRange.State.RUNNING, lease_until__lte=now)
    return Q(state=WarmRange.State.WAITING) | lost


def _taken(run: WarmRun, row: WarmRange, now: datetime.datetime) -> Claim:
    begins_at, kind = _paced(run, row, now), kind_or_user(row.kind)
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
        users=within(users_seen_since(run.seen_since, kind), row.first, row.until, kind),
        kind=kind,
        force=run.force,
    )


def _paced(run: WarmRun, row: WarmRange, now: datetime.datetime) -> datetime.datetime:
    """When the range may begin; reserves the time that its users take."""
    limit = app_settings().warm_users_per_second
    if not limit:
        return now
    begins_at = now if run.paced_until is None else max(now, run.paced_until)
    run.paced_until = begins_at + datetime.timedelta(seconds=row.users_planned / limit)
    run.save(update_fields=["paced_until"])
    return begins_at


def _is_ahead(run: WarmRun, now: datetime.datetime) -> bool:
    """True if the limit of users per second holds the run back: one waiting worker is enough."""
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
