"""The outbox: which cached entries a write has made old, stored in the transaction of that write."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class OutboxEvent(models.Model):
    """Keys of one kind whose entries have changed.

    A database trigger inserts it in the transaction of the change. The process that has invalidated
    the entries deletes it, normally some milliseconds after the commit. The row of a process that
    died, or of a program without the cache, is found with the ruleset version, at most 5 seconds
    later.
    """

    kind = models.CharField(max_length=100)
    keys = models.JSONField(null=True)
    """A list of keys as text; NULL: everybody of the kind."""
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("outbox event")

    def __str__(self) -> str:
        return f"{self.pk}: {self.kind}, {'all' if self.keys is None else len(self.keys)}"
