"""Turns Django's own signals about users and groups into those of `users.signals`."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.db.models import Value
from django.db.models.functions import Replace
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save
from django.dispatch import receiver

from users.groups import keys_of_members
from users.models import User
from users.querysets import SNAPSHOT_FIELDS
from users.signals import (
    in_chunks,
    users_changed,
    users_changing,
    users_created,
    users_deleted,
    users_seen,
)
from users.times import to_microseconds

DELETED_NAME = "(deleted user)"


@receiver(post_save, sender=User)
def announce_saved_user(
    instance: User, created: bool, update_fields: frozenset[str] | None, raw: bool, **_: Any
) -> None:
    """A saved user has changed, unless only columns were written that no snapshot holds."""
    if created and not raw:
        users_created.send(sender=User, keys=[str(instance.pk)])
        return
    if update_fields is None or not SNAPSHOT_FIELDS.isdisjoint(update_fields):
        users_changed.send(sender=User, keys=[str(instance.pk)])
    elif "last_seen_at" in update_fields and instance.last_seen_at is not None:
        seen = to_microseconds(instance.last_seen_at)
        users_seen.send(sender=User, keys=[str(instance.pk)], last_seen_at=seen)


@receiver(m2m_changed, sender=User.groups.through)
def announce_changed_groups(
    instance: User | Group, action: str, pk_set: set[Any] | None, **_: Any
) -> None:
    """Groups of a user, or users of a group, were added, removed or cleared."""
    if action == "pre_clear":
        # Afterwards nobody knows who was in the group.
        _announce_members_of(instance)
    elif action in {"post_add", "post_remove"}:
        if isinstance(instance, User):
            _announce_members_of(instance)
        else:
            _announce([str(pk) for pk in pk_set or ()])


@receiver(pre_save, sender=Group)
def announce_group_to_be_saved(instance: Group, **_: Any) -> None:
    """Groups are Django's own: `save` has no transaction unless the caller has one."""
    if not instance._state.adding:  # noqa: SLF001 - Django's documented state
        for keys in in_chunks(keys_of_members([instance.pk])):
            users_changing.send(sender=Group, keys=keys)


@receiver(post_save, sender=Group)
def announce_renamed_group(instance: Group, created: bool, **_: Any) -> None:
    if not created:
        _announce_members_of(instance)


@receiver(pre_delete, sender=Group)
def announce_deleted_group(instance: Group, **_: Any) -> None:
    _announce_members_of(instance)


@receiver(pre_delete, sender=User)
def make_history_anonymous(instance: User, **_: Any) -> None:
    """Keep what the admin's log says, without saying whom it was about or who did it.

    Other objects are named after the user's key too: memberships by their text, tokens by their
    id. Django would delete the entries that the user wrote: they pass to a stand-in account.
    """
    key = str(instance.pk)
    LogEntry.objects.filter(object_id=key).update(object_repr=DELETED_NAME, object_id=None)
    without_key = Replace("object_repr", Value(key), Value(DELETED_NAME))
    LogEntry.objects.filter(object_repr__contains=key).update(object_repr=without_key)
    written = LogEntry.objects.filter(user=instance)
    if written.exists():
        written.update(user=User.objects.stand_in_for_deleted())


@receiver(post_delete, sender=User)
def announce_deleted_user(instance: User, **_: Any) -> None:
    users_deleted.send(sender=User, keys=[str(instance.pk)])


def _announce_members_of(changed: User | Group) -> None:
    if isinstance(changed, User):
        changed.__dict__.pop("group_names", None)
        _announce([str(changed.pk)])
    else:
        _announce(keys_of_members([changed.pk]))


def _announce(keys: list[str]) -> None:
    for chunk in in_chunks(keys):
        users_changed.send(sender=User, keys=chunk)
