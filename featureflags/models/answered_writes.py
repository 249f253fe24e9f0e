"""Answers to writes with an `Idempotency-Key`, so that a write that is sent again is not done again."""

from __future__ import annotations

import datetime
from typing import Final

from django.db import models
from django.utils import timezone

KEPT: Final = datetime.timedelta(days=1)


class AnsweredWriteManager(models.Manager["AnsweredWrite"]):
    """Forgets old answers."""

    def delete_old(self) -> int:
        """Delete those that are kept long enough; how many."""
        return self.filter(created_at__lt=timezone.now() - KEPT).delete()[0]


class AnsweredWrite(models.Model):
    """One write that succeeded. The row is written in its transaction."""

    caller = models.CharField(max_length=100)
    """`key:17` or `user:…`."""
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    """SHA-256 (hex) of the method, the address and the body."""
    status = models.PositiveSmallIntegerField(default=0)
    body = models.TextField(blank=True)
    """JSON; empty: the answer has no body."""
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    objects = AnsweredWriteManager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["caller", "key"], name="answered_write_once")
        ]

    def __str__(self) -> str:
        return f"{self.caller}: {self.status}"
