"""What happens when rows change: the caches hear of it at once and again after the commit."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import ProtectedError
from django.db.models.signals import post_delete, pre_delete, pre_save
from django.dispatch import receiver
from django.utils.translation import gettext as _

from featureflags.bypass import fresh_rows
from featureflags.cache import invalidation
from featureflags.conf import app_settings
from featureflags.models import Segment, SegmentMember
from featureflags.recounting import forget_segment
from featureflags.signals import ruleset_raised
from featureflags.tasks import count_changed_segments, sync_segment
from featureflags.versions import RulesetVersion
from users.signals import users_changed, users_deleted, users_seen


@receiver(users_changed)
def drop_snapshots(keys: list[str], **_kwargs: Any) -> None:
    invalidation.drop_snapshots(keys)


@receiver(users_deleted)
def forget_users(keys: list[str], **_kwargs: Any) -> None:
    invalidation.drop_snapshots(keys)


@receiver(users_seen)
def rewrite_last_seen(keys: list[str], last_seen_at: int, **_kwargs: Any) -> None:
    invalidation.rewrite_last_seen(keys, last_seen_at)


@receiver(ruleset_raised)
def drop_ruleset_version(**_kwargs: Any) -> None:
    invalidation.drop_ruleset_version()


@receiver(pre_delete, sender=Segment)
def raise_version_for_segment(instance: Segment, **_kwargs: Any) -> None:
    """Lock the rules before the row goes, and refuse if another segment rests on it."""
    RulesetVersion.raise_version()
    users_of_it = instance.used_by()
    if users_of_it:
        message = _("The segment “%(key)s” is used by %(names)s.") % {
            "key": instance.key,
            "names": ", ".join(users_of_it),
        }
        raise ProtectedError(message, set(Segment.objects.filter(key__in=users_of_it)))


@receiver(pre_delete, sender=SegmentMember)
def raise_version_for_member(**_kwargs: Any) -> None:
    RulesetVersion.raise_version()


@receiver(pre_save, sender=Segment)
def sync_segment_after_commit(instance: Segment, **_kwargs: Any) -> None:
    """Have LaunchDarkly's segment follow one that is created, renamed or activated, if enabled.

    One query, and none while it is disabled. `QuerySet.update` sends no signal: what it changes is
    found by the next `sync_segments`. A failure, also of the broker, is logged by Django:
    the segment is saved all the same.
    """
    if not app_settings().sync_segments or not instance.is_active:
        return
    with fresh_rows():
        stored = Segment.objects.filter(pk=instance.pk).values_list("name", "is_active").first()
    if stored != (instance.name, True):
        key = instance.key

        # A function of its own: Django's log names it, which a `partial` does not allow.
        def follow() -> None:
            sync_segment.delay(key)

        transaction.on_commit(follow, robust=True)


@receiver(ruleset_raised)
def count_segments_after_commit(**_kwargs: Any) -> None:
    """Have the segments that change counted once, however many writes the transaction makes.

    A failure, also of the broker, is logged by Django: the hourly count makes up for it.
    """
    connection = transaction.get_connection()
    if not any(function is _count_changed for _, function, _ in connection.run_on_commit):
        transaction.on_commit(_count_changed, robust=True)


def _count_changed() -> None:
    count_changed_segments.delay()


@receiver(post_delete, sender=Segment)
def forget_counts(instance: Segment, **_kwargs: Any) -> None:
    forget_segment(instance.key)
