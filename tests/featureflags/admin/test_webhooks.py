"""Webhooks in the admin: the secret is shown once, in no table and no log; deliveries can be repeated."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from featureflags.models import EventType, Webhook, WebhookDelivery
from tests.browser.conftest import person_with
from tests.factories import UserFactory
from tests.featureflags.admin.test_api_keys import everything_stored

pytestmark = pytest.mark.django_db

ADD = reverse("admin:featureflags_webhook_add")
LIST = reverse("admin:featureflags_webhook_changelist")
DELIVERIES = reverse("admin:featureflags_webhookdelivery_changelist")
SECRET = re.compile(r'value="(whsec_[^"]+)"')
URL = "https://hooks.example.com/services/T0/very-secret-path"


def form(**fields: Any) -> dict[str, Any]:
    return {"name": "chat", "url": URL, "format": "guidon", "is_active": "on", **fields}


def secret_in(page: bytes) -> str:
    found = SECRET.search(html.unescape(page.decode()))
    assert found is not None
    return found[1]


def change_page(hook: Webhook) -> str:
    return reverse("admin:featureflags_webhook_change", args=[hook.pk])


@pytest.fixture
def asking(client: Client) -> Client:
    names = [f"{verb}_webhook" for verb in ("add", "view", "change", "delete")]
    client.force_login(person_with(*names, "view_webhookdelivery", "change_webhookdelivery"))
    return client


def test_the_secret_is_shown_once_and_stored_nowhere(asking: Client) -> None:
    answer = asking.post(ADD, form(events=["segment.changed"]))
    assert "no-store" in answer["Cache-Control"]
    secret = secret_in(answer.content)
    hook = Webhook.objects.get()
    assert (hook.secrets(), hook.events) == ([secret], ["segment.changed"])
    assert secret.removeprefix("whsec_") not in everything_stored()
    entry = LogEntry.objects.get()
    assert "very-secret-path" not in f"{entry.object_repr} {entry.change_message}"
    for page in (LIST, change_page(hook), DELIVERIES):
        assert secret not in html.unescape(asking.get(page).content.decode())
    assert "very-secret-path" not in asking.get(LIST).content.decode()


def test_a_new_secret_replaces_the_old_one(asking: Client) -> None:
    before = secret_in(asking.post(ADD, form()).content)
    hook = Webhook.objects.get()
    after = secret_in(asking.post(change_page(hook), form(_new_secret="1")).content)
    hook.refresh_from_db()
    assert (before != after, hook.secrets()) == (True, [after])


@pytest.mark.parametrize(
    "url",
    ["http://hooks.example.com/", "https://user:word@hooks.example.com/", "https://", "nowhere"],
)
def test_a_wrong_address_is_refused_beside_its_field(asking: Client, url: str) -> None:
    answer = asking.post(ADD, form(url=url))
    assert answer.context["adminform"].form.errors.keys() == {"url"}
    assert not Webhook.objects.exists()


def test_an_unknown_event_is_refused(asking: Client) -> None:
    answer = asking.post(ADD, form(events=["segment.eaten"]))
    assert answer.context["adminform"].form.errors.keys() == {"events"}


def test_a_test_is_sent_and_a_delivery_again(asking: Client) -> None:
    asking.post(ADD, form())
    hook = Webhook.objects.get()
    asking.post(change_page(hook), form(_send_test="1"))
    row = hook.deliveries.get()
    assert row.event == "webhook.test"
    WebhookDelivery.objects.update(
        state="failed",
        failures=10,
        next_attempt_at=None,
        attempts=[
            {"at": "now", "milliseconds": 3, "status": 500, "problem": "The answer was 500."}
        ],
    )
    page = asking.get(reverse("admin:featureflags_webhookdelivery_change", args=[row.pk]))
    assert "The answer was 500." in page.content.decode()
    assert b'name="_save"' not in page.content
    assert "The answer was 500." in asking.get(DELIVERIES).content.decode()
    asking.post(DELIVERIES, {"action": "send_again", "_selected_action": [row.pk]})
    row.refresh_from_db()
    assert (row.state, row.failures) == ("pending", 0)
    assert row.next_attempt_at is not None


def test_deliveries_go_with_their_webhook_and_not_alone(asking: Client) -> None:
    asking.post(ADD, form())
    hook = Webhook.objects.get()
    Webhook.objects.announce(EventType.HEALED, [{"part": "cache"}])
    row = hook.deliveries.get()
    alone = reverse("admin:featureflags_webhookdelivery_delete", args=[row.pk])
    assert asking.post(alone, {"post": "yes"}).status_code == 403
    asking.post(reverse("admin:featureflags_webhook_delete", args=[hook.pk]), {"post": "yes"})
    assert not Webhook.objects.exists()


def test_without_permission_nothing_is_seen_or_sent(client: Client) -> None:
    hook = Webhook.objects.create(name="chat", url=URL)
    Webhook.objects.announce(EventType.HEALED, [{"part": "cache"}])
    client.force_login(UserFactory.create(staff=True))
    row = hook.deliveries.get()
    for page in (LIST, ADD, change_page(hook), DELIVERIES):
        assert client.get(page).status_code == 403
    client.force_login(person_with("view_webhookdelivery"))
    client.post(DELIVERIES, {"action": "send_again", "_selected_action": [row.pk]})
    assert WebhookDelivery.objects.get().next_attempt_at == row.next_attempt_at
