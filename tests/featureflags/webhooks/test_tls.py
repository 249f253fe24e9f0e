"""A receiver whose certificate is not to be trusted, or that speaks no TLS: nothing is sent, and that is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from featureflags.models import Webhook, WebhookDelivery
from featureflags.webhooks import queue
from featureflags.webhooks.queue import Sent
from tests.featureflags.webhooks.receiver import Receiver, receiving
from tests.services.sentinel import make_certificate

pytestmark = [pytest.mark.django_db, pytest.mark.embedded_stack]


def problem_of(url: str) -> str:
    """What came of one delivery to this address."""
    webhook = Webhook.objects.create(name="by TLS", url=url)
    Webhook.objects.test(webhook)
    assert queue.send_due() == Sent(failed=1)
    row = WebhookDelivery.objects.get(webhook=webhook)
    assert row.next_attempt_at is not None, "it may be repaired: it is tried again"
    return str(row.attempts[-1]["problem"])


def test_a_certificate_that_nobody_vouches_for(receiver: Receiver, tmp_path: Path) -> None:
    with receiving(certificate=make_certificate(tmp_path)) as secure:
        assert problem_of(secure.url) == "There was no answer (SSLCertVerificationError)."
    assert secure.bodies == []


def test_a_receiver_without_tls(receiver: Receiver) -> None:
    problem = problem_of(receiver.url.replace("http:", "https:"))
    assert problem == "There was no answer (SSLError)."
    assert receiver.bodies == []


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    """It could lead to where no webhook may."""
    receiver.status = 307
    assert problem_of(receiver.url) == "The answer was 307."
    assert len(receiver.bodies) == 1
