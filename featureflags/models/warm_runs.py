"""The progress of a cache warm-up: one row for the run, and one for each range of users.

Workers share these rows. A worker claims a range by a lease (`lease_until`) and prolongs it. After
a worker was killed the lease expires, and another one does the range again, which does no harm.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from featureflags.kinds.snapshot import USER


class WarmRun(models.Model):
    """One cache warm-up: its scope, its progress, and how it ended."""

    class State(models.TextChoices):
        RUNNING = "running", _("Under way")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    state = models.CharField(_("state"), max_length=9, choices=State, default=State.RUNNING)
    days = models.FloatField(
        _("seen within days"), null=True, help_text=_("Empty: everybody, inactive users included.")
    )
    kind = models.CharField(
        _("kind"),
        max_length=100,
        blank=True,
        db_default="",
        default="",
        help_text=_("Empty: all kinds."),
    )
    seen_since = models.DateTimeField(_("seen since"), null=True)
    """`days` before the start; users seen later are in the scope until the run ends."""
    force = models.BooleanField(
        _("all written"), default=False, help_text=_("Entries that were good are written too.")
    )
    by_workers = models.BooleanField(
        _("by workers"),
        default=False,
        help_text=_("Otherwise the process that began it does it, and workers if that is killed."),
    )
    snapshot_version = models.CharField(_("version of the snapshots"), max_length=8)
    ranges_planned = models.PositiveIntegerField(_("ranges"))
    users_planned = models.PositiveBigIntegerField(_("rows"))
    spare = models.BooleanField(_("segments kept"))
    started_at = models.DateTimeField(_("started at"), auto_now_add=True)
    progressed_at = models.DateTimeField(_("last progress at"), auto_now_add=True)
    finished_at = models.DateTimeField(_("finished at"), null=True)
    paced_until = models.DateTimeField(null=True)
    """The earliest start of the next range, from the limit of users per second."""
    error = models.TextField(_("error"), blank=True)

    class Meta:
        verbose_name = _("cache warm-up")
        verbose_name_plural = _("cache warm-ups")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                name="warm_run_one_at_once",
                fields=["snapshot_version"],
                condition=Q(state="running"),
            )
        ]

    def __str__(self) -> str:
        return str(_("Warm-up %d") % self.pk)


class WarmRange(models.Model):
    """Some thousand users of a run, by a range of their key: `first` to before `until`."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        RUNNING = "running", _("Under way")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")

    run = models.ForeignKey(WarmRun, on_delete=models.CASCADE, related_name="ranges")
    number = models.PositiveIntegerField(_("number"))
    kind = models.CharField(_("kind"), max_length=100, default=USER, db_default=USER)
    first = models.CharField(_("from key"), max_length=255, blank=True, default="")
    """Empty: from the lowest key there is."""
    until = models.CharField(_("to before key"), max_length=255, blank=True, default="")
    """Empty: to the highest key there is."""
    users_planned = models.PositiveIntegerField(_("rows"))
    state = models.CharField(_("state"), max_length=7, choices=State, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    claim = models.UUIDField(null=True)
    """The token of the worker that holds the lease: one that lost its lease has another token."""
    lease_until = models.DateTimeField(_("claimed until"), null=True)
    sent_at = models.DateTimeField(_("sent at"), null=True)
    """When a message for it was last put into the queue."""
    users_read = models.PositiveIntegerField(default=0)
    users_written = models.PositiveIntegerField(default=0)
    users_kept = models.PositiveIntegerField(default=0)
    users_failed = models.PositiveIntegerField(default=0)
    error = models.TextField(_("error"), blank=True)

    class Meta:
        verbose_name = _("range of a cache warm-up")
        ordering = ["number"]
        indexes = [models.Index(fields=["run", "state", "number"], name="warm_range_by_state")]

    def __str__(self) -> str:
        return str(_("Range %d") % self.number)
