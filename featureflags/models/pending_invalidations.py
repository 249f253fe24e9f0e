"""What the cache is yet to be told: written with the change itself, removed once it was told."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class PendingInvalidation(models.Model):
    """Users whose cached snapshots a write has made old.

    It is written in the transaction of that write, so that one is never there without the other,
    and removed after the cache has taken the markers. Normally no row is older than some
    milliseconds. One that stays is of a process that died, or of a cache that could not be
    reached: whoever reads the ruleset version next makes up for it (`featureflags.cache.pending_invalidations`).
    """

    keys = models.JSONField()
    """A list of user keys."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("pending invalidation")

    def __str__(self) -> str:
        return f"{self.pk}: {len(self.keys)}"
