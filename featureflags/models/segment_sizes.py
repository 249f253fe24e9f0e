"""How many users there are, and how many are in each segment: as last counted, and by day.

`featureflags.audience.stored_sizes` writes these rows, and pages read them: no page counts users.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from featureflags.models.segments import Segment


class SegmentSize(models.Model):
    """How many users were in a segment when it was last counted."""

    segment = models.OneToOneField(
        Segment,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="size",
        verbose_name=_("segment"),
    )
    at_least = models.PositiveBigIntegerField(_("at least"))
    at_most = models.PositiveBigIntegerField(_("at most"))
    users = models.PositiveBigIntegerField(_("all rows"))
    fingerprint = models.CharField(max_length=64)
    """A hash of the rules and members that were counted, including those of the segments that they
    name. Empty: they have changed since, and the time for counting was over."""
    counted_at = models.DateTimeField(_("counted at"))
    recent = models.JSONField(default=list, db_default=models.Value([], models.JSONField()))
    """The counts of the last hour, as `featureflags.audience.size_jumps` writes them."""

    class Meta:
        verbose_name = _("segment size")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.at_least}" if self.is_exact else f"≥ {self.at_least}"

    @property
    def is_exact(self) -> bool:
        return self.at_least == self.at_most

    @property
    def is_outdated(self) -> bool:
        """Whether the segment has changed since, as far as is known."""
        return not self.fingerprint


class SegmentCount(models.Model):
    """The size of a segment on one day (in the site's time zone), as last counted on it.

    By the segment's key, with no relation: the page that deletes a segment would list each row.
    """

    segment_key = models.CharField(max_length=100)
    day = models.DateField()
    at_least = models.PositiveBigIntegerField()
    at_most = models.PositiveBigIntegerField()

    class Meta:
        verbose_name = _("segment count")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["segment_key", "day"], name="segment_count_once_a_day")
        ]
        indexes = [models.Index(fields=["day"], name="segment_count_day")]

    def __str__(self) -> str:
        return f"{self.segment_key}, {self.day}: {self.at_least}"


class UserCount(models.Model):
    """How many users there were on one day (in the site's time zone), as last counted on it."""

    day = models.DateField(unique=True)
    users = models.PositiveBigIntegerField()
    seen_today = models.PositiveBigIntegerField()
    """During the 24 hours before; the others likewise."""
    seen_within_7_days = models.PositiveBigIntegerField()
    seen_within_30_days = models.PositiveBigIntegerField()
    counted_at = models.DateTimeField()

    class Meta:
        verbose_name = _("user count")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.day}: {self.users}"
