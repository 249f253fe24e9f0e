"""The history of segments and their members: entries are added and never changed.

An entry names its segment by key, so that it outlives the segment. Each membership that changed
has its own row: an edit does not copy ten thousand members, and an index finds the rows of a user
whose account is deleted.
"""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

ModelT = TypeVar("ModelT", bound=models.Model)


class AppendOnly(TypeError):
    """Raised by every attempt to change or delete an entry."""


class AppendOnlyQuerySet(models.QuerySet[ModelT]):
    """Rows that are written once."""

    def update(self, **_values: Any) -> NoReturn:
        raise AppendOnly("The history is never changed.")

    def delete(self) -> NoReturn:
        raise AppendOnly("The history is never deleted.")

    delete.queryset_only = True  # type: ignore[attr-defined]  # Django's mark: not on the manager

    def forget(self, **values: Any) -> int:
        """Remove the names of deleted users: the only update that is allowed."""
        return super().update(**values)


class _AppendOnlyModel(models.Model):
    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            raise AppendOnly("The history is never changed.")
        super().save(*args, **options)

    def delete(self, *_args: Any, **_options: Any) -> NoReturn:
        raise AppendOnly("The history is never deleted.")


class HistoryEntry(_AppendOnlyModel):
    """What one changeset did to one segment and its members."""

    class Kind(models.TextChoices):
        CREATED = "created", _("Created")
        CHANGED = "changed", _("Changed")
        DELETED = "deleted", _("Deleted")

    segment_key = models.CharField(_("segment"), max_length=100)
    kind = models.CharField(_("kind"), max_length=7, choices=Kind)
    version = models.PositiveBigIntegerField(
        _("version"), help_text=_("Of the segment after the change; the last one if it is deleted.")
    )
    at = models.DateTimeField(_("when"), default=timezone.now)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("who"),
        help_text=_("Empty: the system."),
    )
    source = models.CharField(_("by way of"), max_length=50, blank=True)
    note = models.TextField(_("note"), blank=True)
    before = models.JSONField(_("before"), null=True)
    """The segment without members, as `featureflags.editing.about.dump_state` writes it; None:
    there was no segment."""
    after = models.JSONField(_("after"), null=True)
    entering = models.PositiveBigIntegerField(_("entering"), null=True)
    leaving = models.PositiveBigIntegerField(_("leaving"), null=True)
    """None: there was no time to count."""
    at_least = models.BooleanField(_("at least"), default=False)
    restored = models.ForeignKey(
        "self", on_delete=models.DO_NOTHING, null=True, related_name="+", verbose_name=_("restored")
    )
    """The entry whose outcome this one restored."""
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("approved by"),
    )
    """None: it needed no approval, or it was an emergency."""
    is_emergency = models.BooleanField(_("emergency"), default=False, db_default=False)
    """It needed an approval, and was made without."""

    objects = AppendOnlyQuerySet["HistoryEntry"].as_manager()

    class Meta:
        verbose_name = _("history entry")
        verbose_name_plural = _("history entries")
        ordering = ["-pk"]
        default_permissions = ()
        indexes = [
            models.Index(fields=["segment_key", "-id"], name="history_by_segment"),
            models.Index(fields=["kind", "-id"], name="history_by_kind"),
            models.Index(
                fields=["at"], name="history_emergencies", condition=models.Q(is_emergency=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.segment_key}, {self.at:%Y-%m-%d %H:%M}"


class HistoryMember(_AppendOnlyModel):
    """What an entry did to one membership. An empty kind: no membership."""

    entry = models.ForeignKey(HistoryEntry, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    """None: the account is deleted, or it is the row of another kind."""
    key = models.CharField(max_length=255, blank=True, default="", db_default="")
    """Of a row of another kind; empty: the row is deleted, or it is a user."""
    kind_before = models.CharField(max_length=7, blank=True)
    kind_after = models.CharField(max_length=7, blank=True)
    reason_before = models.CharField(max_length=200, blank=True)
    reason_after = models.CharField(max_length=200, blank=True)
    starts_before = models.DateTimeField(null=True)
    starts_after = models.DateTimeField(null=True)
    expires_before = models.DateTimeField(null=True)
    expires_after = models.DateTimeField(null=True)

    objects = AppendOnlyQuerySet["HistoryMember"].as_manager()

    class Meta:
        verbose_name = _("membership in the history")
        verbose_name_plural = _("memberships in the history")
        ordering = ["pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.entry_id}: {self.kind_before or 'none'} → {self.kind_after or 'none'}"

    @property
    def row_key(self) -> Any:
        """The primary key of the user, or the key of a row of another kind; None: it is deleted."""
        return self.key or self.user_id
