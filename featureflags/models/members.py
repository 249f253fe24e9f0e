"""Members by name: rows that are in a segment, or not, whatever its rules say."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Field, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from featureflags.core.conf import app_settings
from featureflags.core.input_gate import LATEST
from featureflags.core.uncached import fresh_rows
from featureflags.kinds.registry import USER, kind_named
from featureflags.models.changesets import MemberState, Place, open_changeset
from featureflags.models.limits import TOO_MANY_MEMBERS
from featureflags.models.querysets import MemberQuerySet
from featureflags.models.segments import Segment
from featureflags.models.versions import RulesetVersion


class SegmentMember(models.Model):
    """A row that is included in a segment, or excluded, regardless of its rules. Included wins.

    In a segment of the kind `user` it is a `user`, in one of another kind the `key` of a row.
    """

    class Kind(models.TextChoices):
        INCLUDE = "include", _("Include")
        EXCLUDE = "exclude", _("Exclude")

    segment = models.ForeignKey(
        Segment, on_delete=models.CASCADE, related_name="members", verbose_name=_("segment")
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="segment_members",
        verbose_name=_("user"),
        null=True,
        blank=True,
    )
    key = models.CharField(
        _("key"),
        max_length=255,
        blank=True,
        default="",
        db_default="",
        help_text=_("Of a row of another kind than “user”."),
    )
    kind = models.CharField(_("kind"), max_length=7, choices=Kind, default=Kind.INCLUDE)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    starts_at = models.DateTimeField(
        _("starts at"), null=True, blank=True, help_text=_("Empty: at once.")
    )
    expires_at = models.DateTimeField(
        _("expires at"), null=True, blank=True, help_text=_("Empty: until it is removed.")
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = MemberQuerySet["SegmentMember"].as_manager()

    class Meta:
        verbose_name = _("segment member")
        verbose_name_plural = _("segment members")
        ordering = ["segment", "kind", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["segment", "user"],
                name="segment_member_once",
                violation_error_message=_("This user is a member of the segment already."),
            ),
            models.UniqueConstraint(
                fields=["segment", "key"],
                condition=~Q(key=""),
                name="segment_member_key_once",
                violation_error_message=_("This key is a member of the segment already."),
            ),
            models.CheckConstraint(
                condition=Q(user__isnull=True) ^ Q(key=""),
                name="segment_member_user_or_key",
                violation_error_message=_("A member is a user, or the key of a row."),
            ),
        ]

    def __str__(self) -> str:
        # The key, not the address: this text ends up in the admin's log.
        return f"{self.segment}: {self.kind} {self.row_key}"

    @property
    def row_key(self) -> Any:
        """The primary key of the user, or the key of a row of another kind."""
        return self.key or self.user_id

    def clean(self) -> None:
        """Refuse a row of another kind, an expiry that has passed already or comes before the beginning, and
        more members than rules can hold."""
        if self.segment_id is not None:
            self._refuse_other_kind()
        if self.starts_at and self.expires_at and self.starts_at >= self.expires_at:
            raise ValidationError({"expires_at": _("This must be later than the beginning.")})
        if self.starts_at and self.starts_at > LATEST:
            raise ValidationError({"starts_at": _("This must lie before the year 9999.")})
        if self._state.adding and self.expires_at and self.expires_at <= timezone.now():
            raise ValidationError({"expires_at": _("This moment has passed already.")})
        if self.expires_at and self.expires_at > LATEST:
            raise ValidationError({"expires_at": _("This must lie before the year 9999.")})
        if self._state.adding and self.segment_id is not None:
            limit = app_settings().max_members
            if SegmentMember.objects.filter(segment=self.segment_id).count() >= limit:
                message = _("A segment holds at most %d members: use a rule instead.") % limit
                raise ValidationError(message, code=TOO_MANY_MEMBERS)

    def _refuse_other_kind(self) -> None:
        required = str(Field.default_error_messages["null"])
        if self.segment.kind == USER:
            if self.key:
                raise ValidationError({"key": _("The members of this segment are users.")})
            if self.user_id is None:
                raise ValidationError({"user": required})
            return
        if self.user_id is not None:
            message = _("The members of this segment are of the kind “%s”.") % self.segment.kind
            raise ValidationError({"user": message})
        kind = kind_named(self.segment.kind)
        if kind is not None and self.key:
            self.key = kind.canonical(self.key)
        if kind is None or kind.parse_key(self.key) is None or not self.key:
            message = _("This is not a key of the kind “%s”.") % self.segment.kind
            raise ValidationError({"key": message if self.key else required})

    def save(self, *args: Any, **options: Any) -> None:
        """Validate and write, with the ruleset version raised in the same transaction."""
        with open_changeset() as changeset:
            RulesetVersion.lock()
            with fresh_rows():
                self.full_clean()
            changeset.remember_members(self._before())
            RulesetVersion.raise_version()
            super().save(*args, **options)

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        """As Django's, as one change."""
        with open_changeset():
            return super().delete(*args, **options)

    def as_state(self) -> MemberState:
        """What this object says, whether or not it is saved."""
        return MemberState(
            kind=self.kind,
            reason=self.reason,
            starts_at=self.starts_at,
            expires_at=self.expires_at,
        )

    def _before(self) -> dict[Place, MemberState | None]:
        """What is stored of this row, and where it will be."""
        before: dict[Place, MemberState | None] = {(self.segment_id, self.row_key): None}
        if not self._state.adding:
            before |= SegmentMember.objects.filter(pk=self.pk).states()
        return before
