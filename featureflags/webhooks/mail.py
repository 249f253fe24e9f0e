"""Sends e-mails to those who follow a segment: its owner, and those who approve changes.

A notice is a row, written in the transaction of what it is about. It holds no address and no name: the
address is read when it is sent, and the row is deleted then. A claim moves `next_attempt_at` ahead, as for
webhooks, so that of several workers one sends it, and a killed one loses nothing.
"""

from __future__ import annotations

import datetime
import logging
import smtplib
import time
from typing import Any, Final

from django.core.mail import send_mail
from django.utils import timezone
from django.utils.translation import gettext as _

from featureflags.models import MailNotice
from featureflags.models.notice_links import page_of
from featureflags.models.notice_texts import sentence
from featureflags.webhooks.queue import LEASE, MINUTE, RUN_SECONDS, Sent

logger = logging.getLogger(__name__)

WAITS: Final = (MINUTE, 5 * MINUTE, 30 * MINUTE, 120 * MINUTE)
"""Seconds before each further attempt. After the last one a notice is given up."""

OF_ONE_PERSON: Final = (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError)
"""Failures after which the mail server may take the next e-mail."""


def send_due() -> Sent:
    """Send what is due, until `RUN_SECONDS` are over or the mail server fails."""
    ends = time.monotonic() + RUN_SECONDS
    delivered = failed = 0
    while time.monotonic() < ends and (claimed := _claim()) is not None:
        problem = _send(claimed)
        if problem is None:
            delivered += 1
            continue
        failed += 1
        if not isinstance(problem, OF_ONE_PERSON):
            break  # The next one would wait for the same server.
    return Sent(delivered=delivered, failed=failed)


def _claim() -> MailNotice | None:
    """One notice that is due and now ours. Two queries."""
    while True:
        now = timezone.now()
        due = MailNotice.objects.filter(next_attempt_at__lte=now).select_related("user")
        row = due.order_by("next_attempt_at", "pk").first()
        if row is None:
            return None
        mine = MailNotice.objects.filter(pk=row.pk, next_attempt_at=row.next_attempt_at)
        if mine.update(next_attempt_at=now + LEASE):
            return row


def _send(row: MailNotice) -> OSError | None:
    """Send it; what failed, if anything did."""
    user: Any = row.user
    address = getattr(user, user.get_email_field_name(), "")
    if not (user.is_active and getattr(user, "is_staff", False) and address):
        # Who has left, or may not look at segments any more.
        row.delete()
        return None
    text = sentence(row.event, row.data)
    try:
        send_mail(text.replace("\n", " "), _body(text, row.data), None, [address])
    except OSError as error:  # also each of smtplib
        _put_off(row, type(error).__name__)
        return error
    row.delete()
    return None


def _body(text: str, data: dict[str, Any]) -> str:
    """The sentence, and where to look in the admin, if the project has one."""
    place = page_of(data)
    return f"{text}\n\n{_('In the admin:')} {place}\n" if place else text


def _put_off(row: MailNotice, problem: str) -> None:
    failures = row.failures + 1
    # The log names neither the person nor the address.
    if failures > len(WAITS):
        logger.warning("The e-mail notice %s was given up: %s", row.pk, problem)
        row.delete()
        return
    logger.warning("The e-mail notice %s was put off: %s", row.pk, problem)
    later = timezone.now() + datetime.timedelta(seconds=WAITS[failures - 1])
    MailNotice.objects.filter(pk=row.pk).update(failures=failures, next_attempt_at=later)
