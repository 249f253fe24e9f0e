"""E-mails about planned changes: sent once, tried again, and without a word about people."""

from __future__ import annotations

import json
import smtplib
from typing import Any

import pytest
from django.core import mail as outbox
from django.urls import set_script_prefix
from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.models import EventType, MailNotice, Webhook, WebhookDelivery
from featureflags.models.notice_texts import sentence
from featureflags.tasks import send_mail_notices
from featureflags.webhooks import mail, observing
from featureflags.webhooks.queue import Sent
from tests.factories import UserFactory
from tests.featureflags.api.using import use
from tests.services.flag_json import boolean_flag, segment_rule

pytestmark = pytest.mark.django_db

PROPOSED: dict[str, Any] = {
    "segment": "beta",
    "proposal": 7,
    "entering": 1200,
    "leaving": 3,
    "at_least": False,
    "author": "6d0c",
    "due_at": None,
}


def write(**fields: Any) -> None:
    given = {"is_staff": True, **fields}
    user = UserFactory.create(email="ann@agpt.co", name="Ann", **given)
    MailNotice.objects.write(EventType.CHANGE_PROPOSED, PROPOSED, [user])


def test_it_is_sent_once_to_the_address_of_now() -> None:
    write()
    assert send_mail_notices() == {"delivered": 1, "failed": 0}
    assert send_mail_notices() == {"delivered": 0, "failed": 0}
    (sent,) = outbox.outbox
    assert sent.to == ["ann@agpt.co"]
    assert sent.subject == (
        "A change of the segment beta waits for approval: +1,200, \u22123 users. Proposal 7."
    )
    assert "/admin/featureflags/segment/proposals/7/" in sent.body
    assert "Ann" not in sent.body
    assert "6d0c" not in sent.body
    assert not MailNotice.objects.exists()


def test_it_links_to_the_page_where_people_open_the_site(settings: Settings) -> None:
    write()
    mail.send_due()
    assert (
        outbox.outbox[0].body.rstrip().endswith("admin: /admin/featureflags/segment/proposals/7/")
    )
    use(settings, SITE_URL="https://flags.example.com/guidon/")
    user = UserFactory.create(is_staff=True)
    for event, data in (
        (EventType.CHANGE_PROPOSED, PROPOSED),
        (EventType.SEGMENT_USED, {"flag": "new", "segment": "beta"}),
    ):
        MailNotice.objects.write(event, data, [user])
    # As in a request to a site that is not at the root: the prefix is in SITE_URL already.
    set_script_prefix("/guidon/")
    try:
        mail.send_due()
    finally:
        set_script_prefix("/")
    base = "https://flags.example.com/guidon/admin/featureflags/segment"
    assert [sent.body.split()[-1] for sent in outbox.outbox[1:]] == [
        f"{base}/proposals/7/",
        f"{base}/history/beta/",
    ]


@pytest.mark.parametrize("gone", [{"is_active": False}, {"is_staff": False}])
def test_nobody_who_left_or_is_no_staff_any_more_is_written_to(gone: dict[str, bool]) -> None:
    write(**gone)
    assert mail.send_due() == Sent(delivered=1)
    assert outbox.outbox == []


def test_a_failure_is_tried_again_and_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_args: Any, **_options: Any) -> None:
        raise smtplib.SMTPServerDisconnected("ann@agpt.co")

    monkeypatch.setattr(mail, "send_mail", fail)
    write()
    for _attempt in mail.WAITS:
        assert mail.send_due() == Sent(failed=1)
        assert mail.send_due() == Sent()
        MailNotice.objects.update(next_attempt_at=timezone.now())
    assert mail.send_due() == Sent(failed=1)
    assert not MailNotice.objects.exists()
    assert "agpt.co" not in caplog.text


def test_every_event_has_a_sentence() -> None:
    data = {
        **PROPOSED,
        "change": "changed",
        "flag": "new",
        "part": "cache",
        "problem": "down",
        "webhook": "chat",
        "reason": "numbers",
        "before": {"at_least": 5},
        "now": {"at_least": 9},
    }
    for event in (*EventType.values, "webhook.test"):
        assert "%(" not in sentence(event, data)
    assert sentence("segment.size_jumped", data) == "The segment beta went from 5 to 9 users."
    assert "1 company" in sentence("segment.changed", {**data, "kind": "company", "leaving": 1})
    assert sentence("segment.changed", {**data, "is_emergency": True}).startswith("Emergency")


def test_slack_is_sent_a_text_with_blocks() -> None:
    Webhook.objects.create(name="slack", url="https://hooks.example.com/a", format="slack")
    Webhook.objects.create(name="guidon", url="https://hooks.example.com/b")
    data = {**PROPOSED, "segment": "a<b&c"}
    Webhook.objects.announce(EventType.CHANGE_PROPOSED, [data])
    bodies = {row.webhook.name: json.loads(row.body) for row in WebhookDelivery.objects.all()}
    assert bodies["guidon"]["data"] == data
    text = bodies["slack"]["text"]
    assert text.startswith("A change of the segment a&lt;b&amp;c waits for approval")
    first, second = bodies["slack"]["blocks"]
    assert first["text"] == {"type": "mrkdwn", "text": text}
    assert second["elements"][0]["text"].startswith("change.proposed, ")


def test_slack_is_sent_a_link_where_the_site_has_an_address(settings: Settings) -> None:
    use(settings, SITE_URL="https://flags.example.com")
    Webhook.objects.create(name="slack", url="https://hooks.example.com/a", format="slack")
    Webhook.objects.create(name="guidon", url="https://hooks.example.com/b")
    Webhook.objects.announce(EventType.CHANGE_PROPOSED, [PROPOSED])
    Webhook.objects.announce(EventType.FLAG_TARGETS_CHANGED, [{"flag": "a|b>c", "change": "new"}])
    Webhook.objects.announce(EventType.HEALED, [{"part": "cache"}])
    hooks = WebhookDelivery.objects.order_by("pk")
    texts = [json.loads(row.body)["text"] for row in hooks.filter(webhook__name="slack")]
    pages = "https://flags.example.com/admin/"
    assert [text.partition(" <")[2] for text in texts] == [
        f"{pages}featureflags/segment/proposals/7/|Open it>",
        f"{pages}featureflags/segment/flags/a%7Cb%3Ec/|Open it>",
        f"{pages}|Open it>",
    ]
    (body, *_others) = (json.loads(row.body) for row in hooks.filter(webhook__name="guidon"))
    assert body["data"] == PROPOSED


def test_a_flag_begins_and_stops_to_use_a_segment(settings: Settings) -> None:
    use(settings, MAIL_NOTICES=False)
    Webhook.objects.create(
        name="all", url="https://hooks.example.com/", events=["segment.used", "segment.unused"]
    )

    def look(*segments: str) -> list[tuple[str, Any]]:
        flag = boolean_flag("new", rules=[segment_rule(*segments)] if segments else [])
        before = WebhookDelivery.objects.count()
        observing.observe(flags={"flags": {"new": flag}, "segments": {}}, problems={})
        rows = WebhookDelivery.objects.order_by("pk")[before:]
        return [(row.event, json.loads(row.body)["data"]) for row in rows]

    assert look("beta") == []
    assert look("beta", "vip") == [("segment.used", {"flag": "new", "segment": "vip"})]
    assert look("vip") == [("segment.unused", {"flag": "new", "segment": "beta"})]


def test_a_mail_server_that_is_away_costs_one_wait_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def fail(subject: str, *_args: Any) -> None:
        tried.append(subject)
        raise errors.pop(0)

    monkeypatch.setattr(mail, "send_mail", fail)
    for number in range(3):
        user = UserFactory.create(email=f"user{number}@agpt.co", is_staff=True)
        MailNotice.objects.write(EventType.CHANGE_PROPOSED, PROPOSED, [user])
    errors: list[Exception] = [TimeoutError()]
    assert mail.send_due() == Sent(failed=1)
    assert len(tried) == 1, "the others would wait for the same server"
    errors = [smtplib.SMTPRecipientsRefused({}), smtplib.SMTPServerDisconnected()]
    assert mail.send_due() == Sent(failed=2)
    assert MailNotice.objects.count() == 3
