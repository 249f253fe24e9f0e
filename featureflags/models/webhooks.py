"""Webhooks: programs elsewhere that are notified, and each notification with its attempts.

    Webhook.objects.announce(EventType.SEGMENT_CHANGED, [{"segment": "beta", "change": "changed"}])

The rows of the deliveries are the queue: they are written in the transaction of what they announce,
and a frozen broker loses none. `featureflags.webhooks` sends them.

The table holds no secret: a webhook's secret is computed from SECRET_KEY and a random salt.
"""

from __future__ import annotations

import base64
import json
import secrets
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from featureflags.core.signals import deliveries_written
from featureflags.core.times import to_microseconds, to_rfc3339
from featureflags.core.types import JSONValue
from featureflags.models.notice_links import link_of
from featureflags.models.notice_texts import sentence

MARK: Final = "whsec_"
"""As https://www.standardwebhooks.com has it; base64 follows."""
LONGEST_URL: Final = 500
_NAMESPACE: Final = "featureflags.models.webhooks"


class EventType(models.TextChoices):
    """What a webhook is notified of."""

    SEGMENT_CHANGED = "segment.changed", _("A segment or its members changed")
    SEGMENT_SIZE_JUMPED = "segment.size_jumped", _("The size of a segment jumped")
    SEGMENT_USED = "segment.used", _("A flag begins to use a segment")
    SEGMENT_UNUSED = "segment.unused", _("A flag stops using a segment")
    CHANGE_PROPOSED = "change.proposed", _("A change of a segment waits for approval")
    CHANGE_APPROVED = "change.approved", _("A change of a segment was approved")
    CHANGE_REFUSED = "change.refused", _("A change of a segment was refused")
    CHANGE_SCHEDULED = "change.scheduled", _("A change of a segment was scheduled")
    CHANGE_APPLIED = "change.applied", _("A planned change of a segment was applied")
    FLAG_TARGETS_CHANGED = "flag.targets_changed", _("The targeting of a flag changed")
    DEGRADED = "service.degraded", _("Something that Guidon needs fails")
    HEALED = "service.healed", _("It works again")


class BodyFormat(models.TextChoices):
    """What a webhook is sent."""

    GUIDON = "guidon", _("Guidon: type, timestamp and data")
    SLACK = "slack", _("Slack: a text to read, with blocks")


TEST: Final = "webhook.test"
"""The event of the button “Send a test”."""


class WebhookManager(models.Manager["Webhook"]):
    """Writes deliveries."""

    def announce(self, event: EventType, data: Sequence[Mapping[str, JSONValue]]) -> int:
        """Write a delivery of each of `data` for each active webhook that wants the event; how many.

        One query while there is no webhook, none without data. `data` must hold no e-mail address and
        no private attribute.
        """
        takers = [hook for hook in self.filter(is_active=True) if hook.wants(event)] if data else []
        if takers:
            self._write(takers, event, data)
        return len(takers) * len(data)

    def test(self, webhook: Webhook) -> None:
        """Write a delivery for this one webhook."""
        self._write([webhook], TEST, [{"webhook": webhook.name}])

    def _write(
        self, takers: list[Webhook], event: str, data: Sequence[Mapping[str, JSONValue]]
    ) -> None:
        now = timezone.now()
        write = {BodyFormat.GUIDON: body_of, BodyFormat.SLACK: slack_body_of}
        bodies = {
            form: [write[BodyFormat(form)](event, each, to_microseconds(now)) for each in data]
            for form in {hook.format for hook in takers}
        }
        WebhookDelivery.objects.bulk_create(
            (
                WebhookDelivery(
                    webhook=hook, event=event, body=body, created_at=now, next_attempt_at=now
                )
                for hook in takers
                for body in bodies[hook.format]
            ),
            batch_size=500,
        )
        deliveries_written.send(Webhook)


def body_of(event: str, data: Mapping[str, JSONValue], instant: int) -> str:
    """The JSON that is signed and sent. `instant` in µs."""
    content = {"type": event, "timestamp": to_rfc3339(instant), "data": dict(data)}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def slack_body_of(event: str, data: Mapping[str, JSONValue], instant: int) -> str:
    """The body for Slack and those that read its form: one sentence with a link, and below it the event.

    `instant` in µs.
    """
    text = _for_slack(sentence(event, data))
    if link := link_of(data):
        text = f"{text} <{_for_slack(link)}|{_for_slack(gettext('Open it'))}>"
    blocks: list[JSONValue] = [
        {"type": "section", "text": {"type": "mrkdwn", "text": text}},
        {
            "type": "context",
            "elements": [{"type": "mrkdwn", "text": f"{event}, {to_rfc3339(instant)}"}],
        },
    ]
    content = {"text": text, "blocks": blocks}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _for_slack(text: str) -> str:
    """The three characters that Slack reads, as names."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def new_salt() -> str:
    return secrets.token_urlsafe(32)


class Webhook(models.Model):
    """An address that is sent signed notifications."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    url = models.URLField(
        _("address"),
        max_length=LONGEST_URL,
        help_text=_("https://… on a public address. It is shown to nobody else and is in no log."),
    )
    events = models.JSONField(default=list, blank=True)
    """Values of `EventType`. Empty: all."""
    format = models.CharField(
        _("format"),
        max_length=6,
        choices=BodyFormat,
        default=BodyFormat.GUIDON,
        db_default=BodyFormat.GUIDON.value,
        help_text=_("Of the body. Slack, Mattermost and the like read the second one."),
    )
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Clear this to send nothing more.")
    )
    salt = models.CharField(max_length=64, default=new_salt, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    objects = WebhookManager()

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Raises ValidationError for an address with a user, and for unknown events."""
        super().clean()
        problems: dict[str, Any] = {}
        if "@" in urlsplit(self.url or "").netloc:
            problems["url"] = _("An address with a user or password is not supported.")
        known = set(EventType.values)
        if not isinstance(self.events, list) or not all(each in known for each in self.events):
            problems["events"] = _("This must be a list of: %s.") % ", ".join(EventType.values)
        if problems:
            raise ValidationError(problems)

    def wants(self, event: EventType) -> bool:
        return not self.events or event.value in self.events

    def secrets(self) -> list[str]:
        """The secrets that sign, the newest first: of SECRET_KEY and of each of SECRET_KEY_FALLBACKS."""
        keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
        return [_secret(self.salt, key) for key in keys]


def _secret(salt: str, key: str) -> str:
    digest = salted_hmac(_NAMESPACE, salt, secret=key, algorithm="sha256").digest()
    return MARK + base64.b64encode(digest).decode()


class WebhookDelivery(models.Model):
    """One notification of one webhook, with its attempts."""

    class State(models.TextChoices):
        PENDING = "pending", _("Pending")
        DELIVERED = "delivered", _("Delivered")
        FAILED = "failed", _("Given up")

    uid = models.UUIDField(_("id"), default=uuid.uuid4, unique=True, editable=False)
    """The same in each attempt: the receiver knows a repetition by it."""
    webhook = models.ForeignKey(
        Webhook, on_delete=models.CASCADE, related_name="deliveries", verbose_name=_("webhook")
    )
    event = models.CharField(_("event"), max_length=40)
    body = models.TextField(_("body"))
    """Text and no JSONField: the signature is over these characters."""
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.PENDING)
    attempts = models.JSONField(_("attempts"), default=list)
    """The last ones: `at` (RFC 3339), `milliseconds`, `status` (None: no answer), `problem`."""
    failures = models.PositiveIntegerField(_("failures"), default=0)
    """In a row, since it was written or repeated by hand."""
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True)
    """Empty: none. While an attempt is made it lies ahead: then the worker counts as dead."""

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        ordering = ["-pk"]
        default_permissions = ("view", "change")
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                name="webhook_delivery_due",
                condition=models.Q(next_attempt_at__isnull=False),
            ),
            models.Index(fields=["created_at"], name="webhook_delivery_age"),
        ]

    def __str__(self) -> str:
        return f"{self.event}, {self.created_at:%Y-%m-%d %H:%M}"


class ObservedState(models.Model):
    """What the schedule saw when it last looked, to notice what is different now."""

    name = models.CharField(max_length=50, unique=True)
    value = models.JSONField(default=dict)
    looked_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("observed state")
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
