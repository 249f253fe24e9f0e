"""Which rules hold now: one row, raised and thereby locked by every write to segments or members."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from featureflags.core.signals import ruleset_raised


class RulesetVersion(models.Model):
    """The one row that says which rules hold. `token` is new with every write.

    A transaction that is rolled back takes its number with it, and the next one uses the number
    again: only the token tells the two apart.
    """

    id = models.SmallAutoField(primary_key=True)
    number = models.BigIntegerField(default=1)
    token = models.UUIDField(default=uuid.uuid4)

    class Meta:
        verbose_name = _("ruleset version")
        constraints = [models.CheckConstraint(name="ruleset_version_one_row", condition=Q(id=1))]

    def __str__(self) -> str:
        return f"{self.number}-{self.token.hex[:8]}"

    @classmethod
    def raise_version(cls) -> None:
        """Lock the row and raise it, within the transaction of a write to segments or members."""
        token = uuid.uuid4()
        if not cls.objects.filter(pk=1).update(number=F("number") + 1, token=token):
            cls.objects.get_or_create(pk=1)
            cls.objects.filter(pk=1).update(number=F("number") + 1, token=token)
        ruleset_raised.send(sender=cls)

    @classmethod
    def read(cls) -> str:
        """The version in force as this connection sees it: one query."""
        row = cls.objects.filter(pk=1).first()
        return "0" if row is None else str(row)
