"""The deliveries that are due: claimed, attempted, put off, given up, and repeated by hand.

A claim moves `next_attempt_at` ahead by `LEASE`, if it still is what was read: of several workers one
attempts a delivery, and that of a killed worker is due again when its lease is over. So a receiver may
be sent a delivery twice, and knows it by its id.
"""

from __future__ import annotations

import datetime
import http.client
import logging
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Final

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.http import parse_http_date_safe

from featureflags.core.conf import app_settings
from featureflags.core.input_gate import whole_number
from featureflags.core.outgoing import Answer, Refused, post
from featureflags.core.signals import deliveries_written
from featureflags.models import Webhook, WebhookDelivery
from featureflags.webhooks.signatures import headers

logger = logging.getLogger(__name__)

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
WAITS: Final = (
    *(MINUTE, 5 * MINUTE, 30 * MINUTE),
    *(2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR),
)
"""Seconds before each further attempt. After the last one a delivery is given up, three days on."""
TOO_MANY: Final = 429
"""The only status of 400 to 499 that gets better by itself. After any other one a delivery is given up at once;
the admin can send it again."""
BUSY: Final = frozenset({TOO_MANY, 503})
"""With these `Retry-After` counts, where it is longer than our own wait."""
LONGEST_WAIT: Final = 24 * HOUR
LEASE: Final = datetime.timedelta(minutes=2)
RUN_SECONDS: Final = 45.0
"""How long one run goes on to a next delivery."""
AT_ONCE: Final = 20
KEPT_DAYS: Final = 30
MOST_ATTEMPTS: Final = 20
"""That are kept of one delivery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What one run did."""

    delivered: int = 0
    failed: int = 0

    def to_dict(self) -> dict[str, int]:
        return asdict(self)


def send_due() -> Sent:
    """Attempt what is due, until `RUN_SECONDS` are over. A webhook that fails waits for the next run.

    Deletes what is older than `KEPT_DAYS`.
    """
    _delete_old()
    ends = time.monotonic() + RUN_SECONDS
    delivered, failing = 0, set[int]()
    while time.monotonic() < ends and (claimed := _claim(failing)) is not None:
        if _attempt(claimed):
            delivered += 1
        else:
            failing.add(claimed.webhook_id)
    return Sent(delivered=delivered, failed=len(failing))


def repeat(deliveries: QuerySet[WebhookDelivery]) -> int:
    """Have these sent once more, with the same ids, also those that were delivered; how many."""
    number = deliveries.update(
        state=WebhookDelivery.State.PENDING, failures=0, next_attempt_at=timezone.now()
    )
    deliveries_written.send(Webhook)
    return number


def _claim(failing: Collection[int]) -> WebhookDelivery | None:
    """One delivery that is due and now ours. Two queries."""
    while True:
        now = timezone.now()
        due = WebhookDelivery.objects.filter(next_attempt_at__lte=now, webhook__is_active=True)
        rows = due.exclude(webhook__in=failing).select_related("webhook")
        found = list(rows.order_by("next_attempt_at", "pk")[:AT_ONCE])
        if not found:
            return None
        for row in found:
            mine = WebhookDelivery.objects.filter(pk=row.pk, next_attempt_at=row.next_attempt_at)
            if mine.update(next_attempt_at=now + LEASE):
                row.next_attempt_at = now + LEASE
                return row


def _attempt(row: WebhookDelivery) -> bool:
    """Send it, and write what came of it."""
    now, began = timezone.now(), time.monotonic()
    answer, problem = _send(row, int(now.timestamp()))
    status = None if answer is None else answer.status
    attempt = {
        "at": now.isoformat(timespec="seconds"),
        "milliseconds": round((time.monotonic() - began) * 1000),
        "status": status,
        "problem": problem,
    }
    is_done = not problem
    failures = 0 if is_done else row.failures + 1
    is_refused = status is not None and 400 <= status < 500 and status != TOO_MANY
    is_over = is_done or failures > len(WAITS) or is_refused
    later = None
    if not is_over:
        later = now + datetime.timedelta(seconds=max(WAITS[failures - 1], _asked_for(answer)))
    states = WebhookDelivery.State
    # A person may have repeated it meanwhile, or another worker after our lease: theirs holds.
    WebhookDelivery.objects.filter(pk=row.pk, next_attempt_at=row.next_attempt_at).update(
        state=states.DELIVERED if is_done else states.FAILED if is_over else states.PENDING,
        attempts=[*row.attempts, attempt][-MOST_ATTEMPTS:],
        failures=failures,
        next_attempt_at=later,
    )
    if not is_done:
        what = "given up" if is_over else "put off"
        logger.warning("Delivery %s to webhook %s was %s: %s", row.uid, row.webhook, what, problem)
    return is_done


def _asked_for(answer: Answer | None) -> int:
    """The seconds of `Retry-After`, of a receiver that is busy; a number, or the instant."""
    given = "" if answer is None else answer.headers.get("retry-after", "").strip()
    if answer is None or answer.status not in BUSY or not given:
        return 0
    seconds = whole_number(given)
    if seconds is None:
        instant = parse_http_date_safe(given)
        seconds = 0 if instant is None else max(0, instant - int(time.time()))
    return min(seconds, LONGEST_WAIT)


def _send(row: WebhookDelivery, timestamp: int) -> tuple[Answer | None, str]:
    """The answer, if there was one, and what is wrong, if anything. Names no address."""
    signed = headers(row.webhook.secrets(), str(row.uid), timestamp, row.body)
    private_too = app_settings().webhook_private_addresses
    try:
        answer = post(row.webhook.url, row.body.encode(), signed, private_too=private_too)
    except Refused as error:
        return None, str(error)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return None, f"There was no answer ({type(error).__name__})."
    return answer, "" if 200 <= answer.status < 300 else f"The answer was {answer.status}."


def _delete_old() -> None:
    oldest = timezone.now() - datetime.timedelta(days=KEPT_DAYS)
    WebhookDelivery.objects.filter(created_at__lt=oldest).delete()
