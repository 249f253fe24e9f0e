"""Drafts of segments that a colleague can open by their address; the stored segment stays as it is."""

from __future__ import annotations

import datetime
import secrets
from typing import Final

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

KEPT: Final = datetime.timedelta(days=14)
MOST_OF_ONE: Final = 50
"""Drafts that one person keeps; the oldest goes first."""


def random_token() -> str:
    return secrets.token_urlsafe(24)


def end_of_draft() -> datetime.datetime:
    return timezone.now() + KEPT


class DraftManager(models.Manager["SegmentDraft"]):
    """Keeps drafts while they hold."""

    def held(self) -> models.QuerySet[SegmentDraft]:
        """Those that have not ended."""
        return self.filter(expires_at__gt=timezone.now()).select_related("author")

    def delete_ended(self) -> int:
        """Delete those that have ended; how many."""
        return self.filter(expires_at__lte=timezone.now()).delete()[0]

    def keep(self, draft: SegmentDraft) -> SegmentDraft:
        """Store a draft, and delete what its author has too many of: three queries."""
        draft.save()
        mine = self.filter(author=draft.author_id).order_by("-pk")
        old = list(mine.values_list("pk", flat=True)[MOST_OF_ONE : MOST_OF_ONE + 100])
        if old:
            self.filter(pk__in=old).delete()
        return draft


class SegmentDraft(models.Model):
    """What somebody typed into the form of a segment. The token is part of its address, and is random."""

    token = models.CharField(max_length=43, unique=True, default=random_token)
    segment_key = models.CharField(_("segment"), max_length=100, blank=True)
    """Empty: a new segment."""
    state = models.JSONField()
    """As `featureflags.editing.dump_state` writes it, with valid rules."""
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(default=end_of_draft, db_index=True)

    objects = DraftManager()

    class Meta:
        verbose_name = _("draft of a segment")
        verbose_name_plural = _("drafts of segments")
        default_permissions = ()

    def __str__(self) -> str:
        return self.segment_key or "–"  # noqa: RUF001 - as Django's admin shows that there is nothing
