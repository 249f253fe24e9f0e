"""Changes of segments that are not made yet: proposed, waiting for approval, or scheduled.

    PlannedChange(segment_key="beta", change={"before": …, "after": …, "members": {}}, due_at=tomorrow)

`featureflags.editing.plans` makes them, decides about them and applies them. The rows of those that are due
are the queue: a worker claims one by moving `next_attempt_at` ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from featureflags.core.conf import app_settings
from featureflags.core.types import Account, JSONValue
from featureflags.kinds.registry import USER
from featureflags.models.history import HistoryEntry
from featureflags.models.segments import Segment

LONGEST_COMMENT = 2_000


class PlannedChange(models.Model):
    """One change of one segment, with who wants it, who approved it, and what became of it."""

    class State(models.TextChoices):
        PROPOSED = "proposed", _("Waits for approval")
        SCHEDULED = "scheduled", _("Scheduled")
        APPLIED = "applied", _("Applied")
        REFUSED = "refused", _("Refused")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    segment_key = models.CharField(_("segment"), max_length=100)
    change = models.JSONField(_("change"))
    """As `featureflags.editing.plan_documents` writes it. It holds keys of members and no addresses."""
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("who"),
    )
    """None: a command, or an account that is deleted."""
    source = models.CharField(_("by way of"), max_length=50, blank=True)
    note = models.TextField(_("note"), blank=True)
    created_at = models.DateTimeField(_("when"), default=timezone.now)
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.PROPOSED)
    needs_approval = models.BooleanField(_("needs approval"), default=False)
    due_at = models.DateTimeField(_("due"), null=True)
    """None: as soon as it is approved."""
    entering = models.PositiveBigIntegerField(_("entering"), default=0)
    leaving = models.PositiveBigIntegerField(_("leaving"), default=0)
    at_least = models.BooleanField(_("at least"), default=False)
    """The numbers that were last shown: when it was proposed, approved or scheduled."""
    approver = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("approved by"),
    )
    decided_at = models.DateTimeField(_("decided"), null=True)
    problem = models.TextField(_("why it was not applied"), blank=True)
    next_attempt_at = models.DateTimeField(null=True)
    """When a worker may try to apply it. While one does, it lies ahead: then the worker counts as dead."""
    entry = models.ForeignKey(
        HistoryEntry, on_delete=models.DO_NOTHING, null=True, related_name="plans"
    )
    """What it did, once it is applied."""

    class Meta:
        verbose_name = _("planned change")
        verbose_name_plural = _("planned changes")
        ordering = ["-pk"]
        default_permissions = ()
        permissions = [
            ("approve_plannedchange", "Can approve changes of segments"),
            ("bypass_plannedchange", "Can change segments without approval in an emergency"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(approver=F("author")), name="planned_change_approved_by_another"
            )
        ]
        indexes = [
            models.Index(fields=["segment_key", "-id"], name="planned_by_segment"),
            models.Index(
                fields=["next_attempt_at"],
                name="planned_change_due",
                condition=Q(next_attempt_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.segment_key}, {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def kind_of_segment(self) -> str:
        """The kind of the rows that it moves."""
        state = self.change["after"] or self.change["before"]
        return str(state.get("kind", USER))

    @property
    def is_open(self) -> bool:
        """True if it may still be applied."""
        return self.state in OPEN


OPEN = (PlannedChange.State.PROPOSED, PlannedChange.State.SCHEDULED)


class PlanComment(models.Model):
    """What somebody wrote about a planned change."""

    plan = models.ForeignKey(PlannedChange, on_delete=models.CASCADE, related_name="comments")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    at = models.DateTimeField(default=timezone.now)
    text = models.TextField(max_length=LONGEST_COMMENT)

    class Meta:
        verbose_name = _("comment")
        ordering = ["pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.plan_id}: {self.at:%Y-%m-%d %H:%M}"


class MailNoticeManager(models.Manager["MailNotice"]):
    """Writes e-mails that are to be sent."""

    def write(
        self, event: str, data: Mapping[str, JSONValue], users: Iterable[Account]
    ) -> list[MailNotice]:
        """One for each of these users: one query. `data` must hold no address and no private attribute."""
        return self.bulk_create(MailNotice(user=user, event=event, data=data) for user in users)

    def write_to_owner(self, event: str, segment: str, data: Mapping[str, JSONValue]) -> None:
        """One for the owner of a segment, where e-mail is on and the segment has an owner."""
        if app_settings().mail_notices:
            self.write(event, data, owners(segment))


def owners(segment: str) -> list[Account]:
    """The owner of a segment, if it has one: one query."""
    rows = Segment.objects.filter(key=segment).select_related("owner")
    return [row.owner for row in rows if row.owner is not None]


class MailNotice(models.Model):
    """One e-mail that is to be sent. The row is deleted once it is; it holds no address."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    event = models.CharField(max_length=40)
    data = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now)
    failures = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now, db_index=True)

    objects = MailNoticeManager()

    class Meta:
        verbose_name = _("notice")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.event}, {self.created_at:%Y-%m-%d %H:%M}"
