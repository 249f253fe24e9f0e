"""The user: logs in by e-mail; the primary key is LaunchDarkly's context key."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.db.models.lookups import Exact
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from featureflags.kinds.functions import EmailDomain, JSONType
from users.fields import LowerCaseEmailField, MetadataField, PlainCharField
from users.querysets import UserManager


class Role(models.TextChoices):
    ADMIN = "admin", _("Administrator")
    USER = "user", _("User")
    SYSTEM = "system", _("System")


class User(AbstractBaseUser, PermissionsMixin):
    """A person or a service with an account.

    Changing the e-mail clears `email_verified`, however it is written: the verification was of the old
    address. `metadata` may be written by staff and trusted code only.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = LowerCaseEmailField(
        _("e-mail address"),
        unique=True,
        error_messages={"unique": _("A user with that e-mail address already exists.")},
    )
    email_verified = models.BooleanField(
        _("e-mail verified"),
        default=False,
        help_text=_("Cleared whenever the e-mail address changes."),
    )
    name = PlainCharField(_("name"), max_length=200, blank=True)
    role = models.CharField(_("role"), max_length=20, choices=Role, default=Role.USER)
    metadata = MetadataField(
        _("metadata"),
        default=dict,
        blank=True,
        help_text=_("A JSON object. Each key becomes the attribute “custom_” + key."),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    last_seen_at = models.DateTimeField(_("last seen at"), null=True, blank=True, editable=False)
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Clear this instead of deleting the account.")
    )
    is_staff = models.BooleanField(
        _("staff"), default=False, help_text=_("May log in to this admin site.")
    )

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        ordering = ["email"]
        indexes = [
            models.Index(fields=["created_at"], name="user_created_at"),
            models.Index(fields=["last_seen_at"], name="user_last_seen_at"),
            models.Index(fields=["role"], name="user_role"),
            models.Index(EmailDomain("email"), name="user_email_domain"),
        ]
        constraints = [
            models.CheckConstraint(
                name="user_email_lower_case", condition=Q(email=Lower(F("email")))
            ),
            models.CheckConstraint(
                name="user_metadata_is_object",
                condition=Exact(JSONType("metadata"), "object"),
                violation_error_message=_("Metadata must be a JSON object, not null."),
            ),
        ]

    def __str__(self) -> str:
        return self.email

    @classmethod
    def from_db(cls, *args: Any, **options: Any) -> User:
        user = super().from_db(*args, **options)
        user._remember_email()  # noqa: SLF001 - our own
        return user

    def refresh_from_db(self, *args: Any, **options: Any) -> None:
        super().refresh_from_db(*args, **options)
        self.__dict__.pop("group_names", None)
        fields = options.get("fields", args[1] if len(args) > 1 else None)
        # Loading a deferred column comes this way too; it does not reload the address.
        if fields is None or "email" in fields:
            self._remember_email()

    def save(self, *args: Any, **options: Any) -> None:
        fields = options.get("update_fields")
        writes_email = fields is None or "email" in fields
        if writes_email and self._email_changed():
            self.email_verified = False
            if fields is not None:
                options["update_fields"] = {*fields, "email_verified"}
        super().save(*args, **options)
        if writes_email:
            self._remember_email()

    def get_full_name(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return self.name.partition(" ")[0] or self.email

    def _remember_email(self) -> None:
        self._stored_email: str | None = self.__dict__.get("email")

    def _email_changed(self) -> bool:
        """True if the stored row has, or may have, another address."""
        if self._state.adding or "email" not in self.__dict__:
            return False
        return getattr(self, "_stored_email", None) != self.email.lower()
