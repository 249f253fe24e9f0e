"""Makes planned changes when they are due.

A claim moves `next_attempt_at` ahead by `LEASE`, if it still is what was read: of several workers one tries
a change, and that of a killed worker is due again when its lease is over. The change, its entry in the
history and the state `applied` are one transaction, which first swaps the state: so it is never made twice.
"""

from __future__ import annotations

import datetime
import logging
import math
import time
from dataclasses import asdict, dataclass
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import ProtectedError
from django.utils import timezone
from django.utils.translation import gettext as _

from featureflags.core.conf import app_settings
from featureflags.editing.applying import Approval, apply
from featureflags.editing.change_sentences import moved_in_words
from featureflags.editing.examining import Examination
from featureflags.editing.notices import announce_plan
from featureflags.editing.plan_documents import NotPossible
from featureflags.editing.plans import (
    Decided,
    examine_plan,
    numbers_of,
    refuse_unmade,
    wait_for_approval,
)
from featureflags.editing.vouching import why_to_wait
from featureflags.kinds.nouns import noun
from featureflags.models import EventType, HistoryEntry, PlannedChange, StaleSegment
from featureflags.models.changesets import Moved

logger = logging.getLogger(__name__)

LEASE: Final = datetime.timedelta(minutes=2)
RUN_SECONDS: Final = 45.0
"""How long one run goes on to a next change."""
COUNT_SECONDS: Final = 30.0
"""Nobody waits: the numbers are counted for longer than in a preview."""

State = PlannedChange.State


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What one run did."""

    applied: int = 0
    refused: int = 0
    failed: int = 0
    """These are tried again."""

    def to_dict(self) -> dict[str, int]:
        return asdict(self)


def make_due() -> Made:
    """Make what is due, until `RUN_SECONDS` are over."""
    ends = time.monotonic() + RUN_SECONDS
    applied = refused = failed = 0
    while time.monotonic() < ends and (claimed := _claim()) is not None:
        try:
            attempt(claimed, seconds=COUNT_SECONDS)
        except Exception:
            # The others are made all the same. Without a database the next claim ends this run.
            logger.exception("The planned change %s was not made, and is tried again.", claimed.pk)
            failed += 1
        else:
            applied += claimed.state == State.APPLIED
            refused += claimed.state == State.REFUSED
    return Made(applied=applied, refused=refused, failed=failed)


def attempt_now(plan: PlannedChange) -> None:
    """Make a scheduled change here and now, while a person waits who may approve or make it.

    Its state afterwards is in `plan`.
    """
    now = timezone.now()
    rows = PlannedChange.objects.filter(pk=plan.pk, state=State.SCHEDULED)
    if rows.filter(next_attempt_at=plan.next_attempt_at).update(next_attempt_at=now + LEASE):
        plan.next_attempt_at = now + LEASE
        attempt(plan, by_hand=True)
    else:
        plan.refresh_from_db()


def attempt(plan: PlannedChange, *, seconds: float | None = None, by_hand: bool = False) -> None:
    """Examine a claimed change once more, and make it, refuse it, or let it wait for an approval.

    `plan` holds its state afterwards.
    """
    try:
        examined = examine_plan(plan, seconds=seconds)
        why = why_to_wait(plan, examined, by_hand=by_hand)
        if why:
            wait_for_approval(plan, why, examined.moved)
        elif is_beyond(numbers_of(plan), examined.moved):
            refuse_unmade(plan, "numbers", _moved_since(plan, examined.moved))
        else:
            _make(plan, examined)
    except NotPossible as error:
        refuse_unmade(plan, error.reason, str(error))
    except StaleSegment:
        # Somebody saved between the examination and the write: look again at once.
        mine = PlannedChange.objects.filter(pk=plan.pk, next_attempt_at=plan.next_attempt_at)
        mine.update(next_attempt_at=timezone.now())
        plan.refresh_from_db()
    except ProtectedError as error:
        refuse_unmade(plan, "invalid", str(error.args[0]))
    except ValidationError as error:
        refuse_unmade(plan, "invalid", " ".join(error.messages))
    except Decided:
        logger.info("The planned change %s was decided meanwhile.", plan.pk)


def is_beyond(approved: Moved, now: Moved) -> bool:
    """True if more users move, or fewer, than the tolerance of the settings allows.

    Where there was no time to count, the person approved without knowing the numbers.
    """
    if approved.at_least:
        return False
    return now.at_least or any(
        abs(then - found) > math.ceil(then * app_settings().plan_tolerance_percent / 100)
        for then, found in (
            (approved.entering, now.entering),
            (approved.leaving, now.leaving),
        )
    )


def _moved_since(plan: PlannedChange, moved: Moved) -> str:
    text = _("It would move %(now)s %(rows)s; %(then)s were approved.")
    return text % {
        "now": moved_in_words(moved),
        "rows": noun(plan.kind_of_segment),
        "then": moved_in_words(numbers_of(plan)),
    }


def _claim() -> PlannedChange | None:
    """One change that is due and now ours. Two queries."""
    while True:
        now = timezone.now()
        due = PlannedChange.objects.filter(state=State.SCHEDULED, next_attempt_at__lte=now)
        row = due.order_by("next_attempt_at", "pk").select_related("author", "approver").first()
        if row is None:
            return None
        mine = PlannedChange.objects.filter(pk=row.pk, next_attempt_at=row.next_attempt_at)
        if mine.update(next_attempt_at=now + LEASE):
            row.next_attempt_at = now + LEASE
            return row


def _make(plan: PlannedChange, examined: Examination) -> None:
    """Raises Decided, and what `apply` raises."""
    with transaction.atomic():
        mine = PlannedChange.objects.filter(
            pk=plan.pk, state=State.SCHEDULED, next_attempt_at=plan.next_attempt_at
        )
        if not mine.update(state=State.APPLIED, next_attempt_at=None):
            plan.refresh_from_db()
            raise Decided(plan)
        approval = Approval(author=plan.author, approver=plan.approver)
        apply(examined, source=plan.source, note=plan.note, approval=approval)
        entry = HistoryEntry.objects.filter(segment_key=plan.segment_key).order_by("-pk").first()
        PlannedChange.objects.filter(pk=plan.pk).update(entry=entry)
        plan.refresh_from_db()
        announce_plan(EventType.CHANGE_APPLIED, plan)
