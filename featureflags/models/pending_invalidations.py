"""Cached entries that must still be invalidated: one row in the transaction of each change."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class PendingInvalidation(models.Model):
    """Users whose cached snapshots a write has made old.

    It is inserted in the transaction of that write and deleted after the cache has accepted the
    tombstones. Normally no row is older than some milliseconds. An older one belongs to a process
    that died, or to a cache that could not be reached: the next reader of the ruleset version
    invalidates its entries.
    """

    keys = models.JSONField()
    """A list of user keys."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("pending invalidation")

    def __str__(self) -> str:
        return f"{self.pk}: {len(self.keys)}"
