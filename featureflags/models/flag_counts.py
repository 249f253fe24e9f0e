"""How many users get each value of a flag: one row for each count, which is also its progress."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class FlagCount(models.Model):
    """One count. The row holds the numbers so far together with the last key that they include, so
    that after a worker was killed, the next one counts no user twice."""

    class State(models.TextChoices):
        RUNNING = "running", _("Under way")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    flag = models.CharField(_("flag"), max_length=256)
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.RUNNING)
    is_sample = models.BooleanField(_("sample"))
    users_planned = models.PositiveBigIntegerField(_("users"))
    """All users at the start, or the size of the sample."""
    users_counted = models.PositiveBigIntegerField(_("counted"), default=0)
    tally: models.JSONField[Any, Any] = models.JSONField(_("result"), default=list)
    """A list of `{"variation", "value", "reason", "rule", "rule_id", "users"}`, see
    `featureflags.inspection.outcomes`."""
    last_key = models.CharField(max_length=255, blank=True, default="")
    """Users up to this key are counted."""
    flag_version = models.BigIntegerField(default=0)
    ruleset_version = models.CharField(max_length=60, default="")
    has_changed = models.BooleanField(default=False)
    """The flag or a segment changed meanwhile: the numbers mix before and after."""
    claim = models.UUIDField(null=True)
    """The token of the worker that holds the lease, until `lease_until`."""
    attempts = models.PositiveSmallIntegerField(default=0)
    """Attempts since the last stored batch."""
    lease_until = models.DateTimeField(null=True)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    started_at = models.DateTimeField(_("started at"), auto_now_add=True)
    finished_at = models.DateTimeField(_("finished at"), null=True)
    error = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = _("count of a flag")
        verbose_name_plural = _("counts of flags")
        ordering = ["-pk"]
        default_permissions = ()
        indexes = [models.Index(fields=["flag", "state"], name="flag_count_by_flag")]
        constraints = [
            models.UniqueConstraint(
                name="flag_count_one_at_once", fields=["flag"], condition=Q(state="running")
            )
        ]

    def __str__(self) -> str:
        return f"{self.flag}: {self.users_counted}"
