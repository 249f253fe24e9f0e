"""Deliveries: signed, retried, given up, repeated, and sent once by several workers."""

from __future__ import annotations

import datetime
import json
import logging
import threading
import time
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from django.utils.http import http_date
from pytest_django.fixtures import Settings

from featureflags.core import outgoing
from featureflags.models import EventType, Webhook, WebhookDelivery
from featureflags.webhooks import queue
from featureflags.webhooks.queue import Sent
from featureflags.webhooks.signatures import signature
from tests.docs.fences import PAGES, fences_of
from tests.featureflags.webhooks.receiver import Receiver
from tests.services.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)

(PAGE,) = (page for page in PAGES if page.name == "webhooks.md")
State = WebhookDelivery.State


def documented() -> Any:
    """The function of the documentation that verifies."""
    (fence,) = (each for each in fences_of(PAGE) if each.title == "verify.py")
    found: dict[str, Any] = {}
    exec(fence.text, found)
    return found["verify"]


def announce(number: int = 1) -> None:
    Webhook.objects.announce(EventType.SEGMENT_CHANGED, [{"segment": "beta"}] * number)


def due_now() -> None:
    """As if the time until the next attempt were over."""
    WebhookDelivery.objects.exclude(next_attempt_at=None).update(next_attempt_at=timezone.now())


def test_the_vector_that_standard_webhooks_publishes() -> None:
    assert signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        '{"test": 2432232314}',
    ) == ("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")


def test_a_delivery_is_verified_as_the_documentation_says(
    hook: Webhook, receiver: Receiver
) -> None:
    announce()
    assert queue.send_due() == Sent(delivered=1)
    [headers], [body] = receiver.headers, receiver.bodies
    documented()(hook.secrets()[0], headers, body)
    for wrong in (body + b" ", body.replace(b"beta", b"vip ")):
        with pytest.raises(ValueError, match="signature"):
            documented()(hook.secrets()[0], headers, wrong)
    with pytest.raises(ValueError, match="old"):
        documented()(hook.secrets()[0], {**headers, "webhook-timestamp": "1"}, body)
    sent = json.loads(body)
    assert (sent["type"], sent["data"]) == ("segment.changed", {"segment": "beta"})
    row = WebhookDelivery.objects.get()
    assert (row.state, row.next_attempt_at) == (State.DELIVERED, None)
    assert row.attempts[0]["status"] == 204
    assert queue.send_due() == Sent()


def test_a_new_secret_key_signs_beside_the_old_one(
    hook: Webhook, receiver: Receiver, settings: Settings
) -> None:
    before = hook.secrets()[0]
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-key"
    announce()
    queue.send_due()
    for secret in (before, hook.secrets()[0]):
        documented()(secret, receiver.headers[0], receiver.bodies[0])
    assert hook.secrets()[0] != before


def test_only_what_was_committed_is_sent(hook: Webhook, receiver: Receiver) -> None:
    with transaction.atomic():
        announce()
        transaction.set_rollback(True)
    assert queue.send_due() == Sent()
    assert receiver.bodies == []


@pytest.mark.parametrize("status", [300, 302, 429, 500, 503])
def test_every_other_answer_is_tried_again_until_it_is_given_up(
    hook: Webhook, receiver: Receiver, status: int
) -> None:
    receiver.status = status
    announce()
    waits, row = [], WebhookDelivery.objects.get()
    for _attempt in range(len(queue.WAITS) + 1):
        due_now()
        assert queue.send_due() == Sent(failed=1)
        row.refresh_from_db()
        if row.next_attempt_at is not None:
            waits.append(round((row.next_attempt_at - timezone.now()).total_seconds() / 60) * 60)
    assert waits == list(queue.WAITS)
    assert row.state == State.FAILED
    assert row.attempts[-1]["problem"] == f"The answer was {status}."
    assert len({headers["webhook-id"] for headers in receiver.headers}) == 1
    due_now()
    assert queue.send_due() == Sent()
    # Once it is repaired, a person sends it again.
    receiver.status = 200
    assert queue.repeat(WebhookDelivery.objects.all()) == 1
    assert queue.send_due() == Sent(delivered=1)
    row.refresh_from_db()
    assert (row.state, row.failures) == (State.DELIVERED, 0)


@pytest.mark.parametrize(
    ("status", "retry_after", "seconds"),
    [
        (429, "3600", 3600),
        (503, "3600", 3600),
        (429, "in an hour", 3600),
        # Our own wait is longer, and no receiver puts a delivery off for ever.
        (429, "5", queue.MINUTE),
        (429, "999999999", queue.LONGEST_WAIT),
        # Nonsense, and another answer.
        (429, "soon", queue.MINUTE),
        (429, "-3600", queue.MINUTE),
        (429, "9" * 5000, queue.MINUTE),
        (429, http_date(0), queue.MINUTE),
        (500, "3600", queue.MINUTE),
    ],
)
def test_a_receiver_that_is_busy_says_for_how_long(
    hook: Webhook, receiver: Receiver, status: int, retry_after: str, seconds: int
) -> None:
    if retry_after == "in an hour":
        retry_after = http_date(time.time() + 3600)
    receiver.status, receiver.retry_after = status, retry_after
    announce()
    assert queue.send_due() == Sent(failed=1)
    later = WebhookDelivery.objects.get().next_attempt_at
    assert later is not None
    assert abs((later - timezone.now()).total_seconds() - seconds) < 30


@pytest.mark.parametrize("status", [400, 401, 404, 408, 410, 499])
def test_a_receiver_that_refuses_is_not_asked_again(
    hook: Webhook, receiver: Receiver, status: int
) -> None:
    receiver.status = status
    announce()
    assert queue.send_due() == Sent(failed=1)
    row = WebhookDelivery.objects.get()
    assert (row.state, row.next_attempt_at, row.failures) == (State.FAILED, None, 1)
    receiver.status = 204
    assert queue.repeat(WebhookDelivery.objects.all()) == 1
    assert queue.send_due() == Sent(delivered=1)


def test_nobody_listens(hook: Webhook, caplog: pytest.LogCaptureFixture) -> None:
    hook.url = "http://127.0.0.1:1/hook?token=in-the-address"
    hook.save()
    announce()
    with caplog.at_level(logging.WARNING):
        assert queue.send_due() == Sent(failed=1)
    problem = WebhookDelivery.objects.get().attempts[0]["problem"]
    assert problem == "There was no answer (ConnectionRefusedError)."
    assert "chat" in caplog.text
    assert "in-the-address" not in caplog.text


def test_a_receiver_that_writes_for_ever_costs_the_time_limit(
    hook: Webhook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "SECONDS", 0.5)
    receiver.status = 0
    announce()
    assert queue.send_due() == Sent(failed=1)
    took = WebhookDelivery.objects.get().attempts[0]["milliseconds"]
    assert 400 < took < 1000 * PATIENCE_SECONDS


def test_a_webhook_that_fails_holds_up_no_other(hook: Webhook, receiver: Receiver) -> None:
    dead = Webhook.objects.create(name="dead", url="http://127.0.0.1:1/")
    announce(3)
    assert queue.send_due() == Sent(delivered=3, failed=1)
    assert sum(row.failures for row in dead.deliveries.all()) == 1


def test_what_a_killed_worker_had_claimed_is_due_again_after_its_lease(
    hook: Webhook, receiver: Receiver
) -> None:
    announce()
    assert queue._claim(()) is not None
    assert queue.send_due() == Sent()
    with_lease = WebhookDelivery.objects.get().next_attempt_at
    assert with_lease is not None
    ahead = with_lease - timezone.now()
    assert datetime.timedelta(minutes=1) < ahead <= queue.LEASE
    due_now()
    assert queue.send_due() == Sent(delivered=1)


def test_several_workers_send_each_delivery_once(hook: Webhook, receiver: Receiver) -> None:
    announce(20)

    def work() -> None:
        try:
            queue.send_due()
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [headers["webhook-id"] for headers in receiver.headers]
    assert len(ids) == len(set(ids)) == 20


def test_a_webhook_that_is_switched_off_is_sent_nothing(hook: Webhook, receiver: Receiver) -> None:
    announce()
    Webhook.objects.update(is_active=False)
    announce()
    assert queue.send_due() == Sent()
    assert WebhookDelivery.objects.count() == 1


def test_old_deliveries_are_deleted(hook: Webhook, receiver: Receiver) -> None:
    announce(2)
    long_ago = timezone.now() - datetime.timedelta(days=queue.KEPT_DAYS + 1)
    WebhookDelivery.objects.filter(pk=WebhookDelivery.objects.latest("pk").pk).update(
        created_at=long_ago
    )
    queue.send_due()
    assert WebhookDelivery.objects.count() == 1
