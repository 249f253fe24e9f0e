"""Announces writes to groups, since a snapshot holds the names of the user's groups.

`save`, `delete` and the many-to-many relation send signals (see `users.receivers`); a queryset's
`update` and `bulk_create` do not, and Django's manager takes the queryset below instead of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import Group, GroupManager
from django.db import models, transaction

from users.models import User
from users.signals import in_chunks, users_changed


class AnnouncingGroupQuerySet(models.QuerySet[Group]):
    """Tells `users_changed` of the members of groups that it renames."""

    def update(self, **values: Any) -> int:
        """As Django's. Hidden SQL: the members of these groups are selected where names change."""
        if "name" not in values:
            return super().update(**values)
        with transaction.atomic(using=self.db):
            # The filter may not find the same rows once they are changed.
            members = keys_of_members(list(self.order_by().values_list("pk", flat=True)))
            updated = super().update(**values)
            _announce(members)
        return updated

    update.alters_data = True  # type: ignore[attr-defined]  # Django's mark for templates

    def bulk_create(self, objs: Iterable[Group], *args: Any, **options: Any) -> list[Group]:
        """As Django's; one that updates rows in conflict tells of their members."""
        if not options.get("update_conflicts"):
            return super().bulk_create(objs, *args, **options)
        groups = list(objs)
        with transaction.atomic(using=self.db):
            members = keys_of_members(
                [pk for group in groups if (pk := group.serializable_value("pk"))]
            )
            created = super().bulk_create(groups, *args, **options)
            _announce(members)
        return created


def announce_updates() -> None:
    """Make `Group.objects`, and each relation to groups, use the queryset above."""
    GroupManager._queryset_class = AnnouncingGroupQuerySet  # type: ignore[attr-defined]  # noqa: SLF001 - where Django's managers keep it


def keys_of_members(groups: list[Any]) -> list[str]:
    """The keys of the users in any of these groups, each once: one query, none without groups."""
    if not groups:
        return []
    members = User.objects.filter(groups__in=groups).order_by().distinct()
    return [str(pk) for pk in members.values_list("pk", flat=True)]


def _announce(keys: list[str]) -> None:
    for chunk in in_chunks(keys):
        users_changed.send(sender=Group, keys=chunk)
