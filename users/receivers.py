"""What happens around a user's row: the admin's log forgets them, a loaded user their groups."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.models import LogEntry
from django.db.models import Value
from django.db.models.functions import Replace
from django.db.models.signals import m2m_changed, pre_delete
from django.dispatch import receiver

from users.models import User

DELETED_NAME = "(deleted user)"


@receiver(m2m_changed, sender=User.groups.through)
def forget_loaded_groups(instance: object, **_: Any) -> None:
    """The names that were loaded with the row are old."""
    if isinstance(instance, User):
        instance.__dict__.pop("group_names", None)


@receiver(pre_delete, sender=User)
def make_history_anonymous(instance: User, **_: Any) -> None:
    """Keep the admin's log, without the name of the user it was about or who acted.

    Other objects contain the user's key too: memberships in their text, tokens in their id. Django
    would delete the entries that the user wrote: they pass to a stand-in account.
    """
    key = str(instance.pk)
    LogEntry.objects.filter(object_id=key).update(object_repr=DELETED_NAME, object_id=None)
    without_key = Replace("object_repr", Value(key), Value(DELETED_NAME))
    LogEntry.objects.filter(object_repr__contains=key).update(object_repr=without_key)
    written = LogEntry.objects.filter(user=instance)
    if written.exists():
        written.update(user=User.objects.stand_in_for_deleted())
