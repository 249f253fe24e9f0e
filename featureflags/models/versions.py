"""Which rules are in force, and which cache may be believed: one row, locked by every write of rules."""

from __future__ import annotations

import uuid

from django.db import connections, models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from featureflags.core.signals import ruleset_raised


class RulesetVersion(models.Model):
    """The one row that says which rules are in force, and which cache entries are valid.

    `token` is new with every write. The number of a transaction that is rolled back is
    used again by the next one: only the tokens differ.
    """

    id = models.SmallAutoField(primary_key=True)
    number = models.BigIntegerField(default=1)
    token = models.UUIDField(default=uuid.uuid4)
    epoch = models.BigIntegerField(default=1)
    """Cache entries of another epoch are invalid. It only rises, and never above 32 bits."""
    identity = models.CharField(max_length=200, blank=True, default="")
    """Which cache the epoch is about; see `featureflags.cache.backends.protocol`."""

    class Meta:
        verbose_name = _("ruleset version")
        constraints = [models.CheckConstraint(name="ruleset_version_one_row", condition=Q(id=1))]

    def __str__(self) -> str:
        return f"{self.number}-{self.token.hex[:8]}"

    @classmethod
    def lock(cls) -> None:
        """Wait until nobody else is writing rules, within the transaction at hand.

        What is validated after it stays true until the commit. Nothing is raised yet, so that a
        write that is refused has changed nothing.
        """
        rows = cls.objects.filter(pk=1)
        if connections[rows.db].features.has_select_for_update:
            list(rows.select_for_update().values_list("pk"))
        else:
            # SQLite has one lock for all, which any write takes.
            rows.update(number=F("number"))

    @classmethod
    def raise_version(cls) -> None:
        """Lock the row and raise it, within the transaction of a write to segments or members."""
        token = uuid.uuid4()
        if not cls.objects.filter(pk=1).update(number=F("number") + 1, token=token):
            cls.objects.get_or_create(pk=1)
            cls.objects.filter(pk=1).update(number=F("number") + 1, token=token)
        ruleset_raised.send(sender=cls)

    @classmethod
    def read(cls, using: str | None = None) -> str:
        """The version in force as this connection sees it: one query."""
        row = cls.objects.using(using).filter(pk=1).first()
        return "0" if row is None else str(row)
