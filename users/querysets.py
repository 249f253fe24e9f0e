"""The manager and queryset of `User`: every way of writing follows the model's rules."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from functools import cache
from typing import Any, TypeVar, cast

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Case, F, Q, Value, When

from featureflags.kinds.functions import ManyTexts
from featureflags.kinds.segmentation import SegmentQuerySet

SEEN_EVERY = datetime.timedelta(hours=1)
"""`last_seen_at` is written at most this often for one user."""

_User = TypeVar("_User", bound=AbstractBaseUser)

STAND_IN_EMAIL = "deleted-user@guidon.invalid"
"""No address of anybody: RFC 2606 reserves the domain."""


class UserQuerySet(SegmentQuerySet[_User]):
    def with_group_names(self) -> UserQuerySet[_User]:
        """Load each user's group names in the same query, as the list `group_names`."""
        return cast("UserQuerySet[_User]", self.annotate(group_names=_group_names(self.model)))

    def update(self, **values: Any) -> int:
        """As Django's. A changed e-mail clears `email_verified`, row by row."""
        if "email" in values:
            values["email_verified"] = _verified_unless_changed(values)
        return super().update(**values)

    update.alters_data = True  # type: ignore[attr-defined]  # Django's mark for templates

    def bulk_create(self, objs: Iterable[_User], *args: Any, **options: Any) -> list[_User]:
        """As Django's. It refuses to change e-mails of rows that exist: use `bulk_update`."""
        if options.get("update_conflicts") and "email" in (options.get("update_fields") or ()):
            raise ValueError("bulk_create cannot change the e-mail of users: use bulk_update.")
        return super().bulk_create(objs, *args, **options)

    def mark_seen(self, key: str, now: datetime.datetime) -> bool:
        """Set `last_seen_at` unless that was done within the last hour; say whether it was set."""
        due = Q(last_seen_at__isnull=True) | Q(last_seen_at__lt=now - SEEN_EVERY)
        return self.filter(due, pk=key).update(last_seen_at=now) > 0


class AccountManager(BaseUserManager[_User]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> _User:
        """A user with that e-mail; without a password nobody can log in as them."""
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user: _User = self.model(email=email, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> _User:
        """An administrator who may do everything."""
        defaults = {"is_staff": True, "is_superuser": True, "role": "admin"}
        return self.create_user(email, password, **{**defaults, **fields})

    def stand_in_for_deleted(self) -> _User:
        """The inactive account that owns what deleted users wrote into the admin's log."""
        fields = {"role": "system", "is_active": False, "name": "Deleted user"}
        user: _User = self.get_or_create(email=STAND_IN_EMAIL, defaults=fields)[0]
        return user


@cache
def _group_names(model: type[models.Model]) -> ManyTexts:
    # Each request that is logged in takes it, and each query makes its own copy.
    return ManyTexts(model, "groups__name")


UserManager = AccountManager.from_queryset(UserQuerySet)


def _verified_unless_changed(values: dict[str, Any]) -> Case:
    kept = values.get("email_verified", F("email_verified"))
    if isinstance(kept, bool):
        kept = Value(kept)
    return Case(
        When(email=values["email"], then=kept),
        default=Value(False),
        output_field=models.BooleanField(),
    )
