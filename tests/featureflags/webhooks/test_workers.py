"""With a real worker and broker: sent at once; with a frozen broker, sent by the schedule."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from celery import current_app
from django.core.management import call_command
from django.db import connection

from featureflags.core import outages, publishing
from featureflags.models import Segment, Webhook, WebhookDelivery
from tests.featureflags.webhooks.receiver import Receiver
from tests.services.processes import celery_worker
from tests.services.redis import redis_server
from tests.services.waiting import PATIENCE_SECONDS, wait_until

pytestmark = [pytest.mark.production_stack, pytest.mark.django_db(transaction=True)]


@contextmanager
def sending_to(url: str) -> Iterator[None]:
    """This process puts its tasks into this broker's queue."""
    before = {name: current_app.conf[name] for name in ("task_always_eager", "broker_url")}
    current_app.conf.update(task_always_eager=False, broker_url=url)
    try:
        yield
    finally:
        current_app.conf.update(before)


def test_a_worker_sends_and_a_frozen_broker_loses_nothing(
    hook: Webhook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = os.environ["DATABASE_URL"].rpartition("/")[0]
    with redis_server() as broker:
        env = {
            "DATABASE_URL": f"{database}/{connection.settings_dict['NAME']}",
            "CELERY_BROKER_URL": broker.url,
            "DJANGO_SETTINGS_MODULE": "config.settings.testing",
            "WEBHOOK_PRIVATE_ADDRESSES": "true",
        }
        with celery_worker(env, "--concurrency=1") as worker, sending_to(broker.url):
            with monkeypatch.context() as patient:
                patient.setattr(publishing, "TIMEOUT_SECONDS", PATIENCE_SECONDS)
                segment = Segment.objects.create(key="beta", name="Beta")
            wait_until(lambda: len(receiver.bodies) == 1, what=f"the worker: {worker.log()}")
            monkeypatch.setattr(outages, "RETRY_SECONDS", 3600.0)
            broker.pause()
            try:
                segment.name = "The beta"
                segment.save()
                # The counts, the delivery: only the first message waits.
                totals = publishing.BROKER.totals()
                assert totals.missed == 1
                assert totals.refused >= 1
                row = WebhookDelivery.objects.latest("pk")
                assert row.state == WebhookDelivery.State.PENDING
                current_app.conf.update(task_always_eager=True)
                call_command("run_due_tasks", verbosity=0)
            finally:
                broker.resume()
            worker.stop()
        assert len(receiver.bodies) == 2
