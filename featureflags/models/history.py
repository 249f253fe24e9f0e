"""What happened to segments and their members: rows are added, and never changed.

A change stands beside the segments, named by key, so that it outlives them. Memberships that it
touched are rows of their own, so that ten thousand members are not copied with every edit, and so
that a user who is deleted is found, and forgotten, by an index.
"""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from users.models import User

ModelT = TypeVar("ModelT", bound=models.Model)


class AppendOnly(TypeError):  # noqa: N818 - the name says what the table is
    """Somebody tried to change or delete what has happened."""


class AppendOnlyQuerySet(models.QuerySet[ModelT]):
    """Rows that are written once."""

    def update(self, **_values: Any) -> NoReturn:
        raise AppendOnly("What has happened is not changed.")

    def delete(self) -> NoReturn:
        raise AppendOnly("What has happened is not deleted.")

    delete.queryset_only = True  # type: ignore[attr-defined]  # Django's mark: not on the manager

    def forget(self, **values: Any) -> int:
        """Take the names of deleted users out of rows: the one change that is made to them."""
        return super().update(**values)


class _AppendOnlyModel(models.Model):
    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            raise AppendOnly("What has happened is not changed.")
        super().save(*args, **options)

    def delete(self, *_args: Any, **_options: Any) -> NoReturn:
        raise AppendOnly("What has happened is not deleted.")


class SegmentChange(_AppendOnlyModel):
    """One change of one segment, its members included."""

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
        User,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("who"),
        help_text=_("Empty: the system."),
    )
    source = models.CharField(_("by way of"), max_length=50, blank=True)
    note = models.TextField(_("note"), blank=True)
    before = models.JSONField(_("before"), null=True)
    """The definition as `featureflags.editing.documents` writes it, without members; None: there was none."""
    after = models.JSONField(_("after"), null=True)
    entering = models.PositiveBigIntegerField(_("users entering"), null=True)
    leaving = models.PositiveBigIntegerField(_("users leaving"), null=True)
    """None: nobody could count them in time."""
    at_least = models.BooleanField(_("at least"), default=False)
    restored = models.ForeignKey(
        "self", on_delete=models.DO_NOTHING, null=True, related_name="+", verbose_name=_("restored")
    )
    """The change whose outcome was restored by this one."""

    objects = AppendOnlyQuerySet["SegmentChange"].as_manager()

    class Meta:
        verbose_name = _("change of a segment")
        verbose_name_plural = _("changes of segments")
        ordering = ["-pk"]
        default_permissions = ()
        indexes = [
            models.Index(fields=["segment_key", "-id"], name="segment_change_by_key"),
            models.Index(fields=["kind", "-id"], name="segment_change_by_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.segment_key}, {self.at:%Y-%m-%d %H:%M}"


class MemberChange(_AppendOnlyModel):
    """What a change did to one membership. An empty kind: there was none, or is none any more."""

    change = models.ForeignKey(
        SegmentChange, on_delete=models.CASCADE, related_name="member_changes"
    )
    user = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    """None: the account is deleted."""
    kind_before = models.CharField(max_length=7, blank=True)
    kind_after = models.CharField(max_length=7, blank=True)
    reason_before = models.CharField(max_length=200, blank=True)
    reason_after = models.CharField(max_length=200, blank=True)
    expires_before = models.DateTimeField(null=True)
    expires_after = models.DateTimeField(null=True)

    objects = AppendOnlyQuerySet["MemberChange"].as_manager()

    class Meta:
        verbose_name = _("change of a membership")
        verbose_name_plural = _("changes of memberships")
        ordering = ["pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.change_id}: {self.kind_before or 'none'} → {self.kind_after or 'none'}"
