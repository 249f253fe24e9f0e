"""What happens when segments, members and users are written through Django."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.migrations import Migration
from django.db.models import Model, Q, QuerySet
from django.db.models.signals import post_delete, post_migrate, pre_delete, pre_save
from django.dispatch import receiver
from django.utils.module_loading import import_string

from featureflags.cache import invalidation, read_through
from featureflags.core.conf import app_settings
from featureflags.core.publishing import has_broker, publish
from featureflags.core.signals import (
    changeset_closing,
    deliveries_written,
    epoch_begun,
    ruleset_raised,
    user_seen,
)
from featureflags.core.types import Account
from featureflags.core.uncached import fresh_rows
from featureflags.kinds.registry import user_kind
from featureflags.models import HistoryEntry, HistoryMember, Segment, SegmentMember
from featureflags.models.changesets import Changeset, open_changeset
from featureflags.models.versions import RulesetVersion

FIRST_MIGRATION: Final = ("featureflags", "0001_initial")
STAFF_GROUPS: Final = ("segment viewer", "segment editor")
"""Those that a migration makes, with permissions of ours and the one to view users."""


@receiver(ruleset_raised)
def forget_rules(**_kwargs: Any) -> None:
    """This process reads the rules again. Without triggers only this signal says that they changed."""
    invalidation.rules_touched()


@receiver(user_seen)
def keep_the_user_who_was_seen(key: str, **_kwargs: Any) -> None:
    """Writing `last_seen_at` removed the cached entry of the user who is just here.

    Without it an outage of the database before their next check would leave only their key.
    """
    read_through.refill(key)


@receiver(epoch_begun)
def warm_the_active_users(**_kwargs: Any) -> None:
    """Every user is cold: have workers fill the cache again, so that requests need not.

    Joins a warm-up that is under way. Without a broker the requests fill it, and the nightly warm-up.
    """
    if has_broker():
        transaction.on_commit(lambda: publish(_task("warm_contexts")), robust=True)


@receiver(changeset_closing)
def write_history(changeset: Changeset, **_kwargs: Any) -> None:
    _loaded("editing.history.record")(changeset)


@receiver(pre_delete, sender=Segment)
def note_segment_before_it_goes(instance: Segment, **_kwargs: Any) -> None:
    """Refuse if another segment uses it, while nobody else can write one that does."""
    RulesetVersion.lock()
    instance.refuse_if_named()
    RulesetVersion.raise_version()
    with open_changeset() as changeset:
        members = SegmentMember.objects.filter(segment=instance.pk).states()
        changeset.remember_segment(instance.pk, instance.stored_state())
        changeset.remember_members(members)
        changeset.being_deleted |= members.keys()


@receiver(pre_delete, sender=SegmentMember)
def note_member_before_it_goes(
    instance: SegmentMember, origin: Model | QuerySet[Model] | None = None, **_kwargs: Any
) -> None:
    """Raise the version, once for all members that are deleted together.

    A membership is also deleted with its account. All rows that one call deletes are one change.
    """
    place = (instance.segment_id, instance.row_key)
    with open_changeset() as changeset:
        if place in changeset.being_deleted:
            return
        RulesetVersion.raise_version()
        changeset.remember_members(SegmentMember.objects.filter(pk=instance.pk).states())
        if _goes_with_account(origin):
            changeset.deleted_rows.add(place)


def _goes_with_account(origin: Model | QuerySet[Model] | None) -> bool:
    return isinstance(origin, get_user_model()) or (
        isinstance(origin, QuerySet) and origin.model is get_user_model()
    )


@receiver(pre_delete, sender=settings.AUTH_USER_MODEL)
def make_history_of_segments_anonymous(instance: Account, **_kwargs: Any) -> None:
    """Remove the user from the history; a placeholder account becomes the author of their changes.

    What staff wrote into rules and notes stays as they wrote it.
    """
    HistoryMember.objects.filter(user=instance).forget(user=None, reason_before="", reason_after="")
    _forget_owner(instance)
    _loaded("editing.plans.forget_user")(str(user_kind().key_of(instance)))
    _loaded("editing.vouching.hold_plans_of")(instance)
    for role in ("actor", "approved_by"):
        done = HistoryEntry.objects.filter(**{role: instance})
        if done.exists():
            # Without a stand-in of the project's, nobody is the author.
            stand_in = getattr(get_user_model()._default_manager, "stand_in_for_deleted", None)
            done.forget(**{role: None if stand_in is None else stand_in()})


def _forget_owner(account: Account) -> None:
    """Remove an owner's key from the definitions that the history keeps. Staff alone own segments."""
    key = str(account.pk)
    if (
        not getattr(account, "is_staff", True)
        and not Segment.objects.filter(owner=account).exists()
    ):
        return
    owned = HistoryEntry.objects.filter(Q(before__owner=key) | Q(after__owner=key))
    for entry in owned.order_by("pk").iterator():
        without = {
            name: {field: value for field, value in state.items() if field != "owner"}
            for name in ("before", "after")
            if (state := getattr(entry, name)) is not None and state.get("owner") == key
        }
        HistoryEntry.objects.filter(pk=entry.pk).forget(**without)


@receiver(pre_save, sender=Segment)
def sync_segment_after_commit(instance: Segment, **_kwargs: Any) -> None:
    """Have LaunchDarkly's segment follow one that is created, renamed or activated, if enabled.

    One query, and none while it is disabled. `QuerySet.update` sends no signal: what it changes is
    found by the next `sync_segments`. A failure is logged by Django: the segment is saved all the
    same. What the broker does not take is done by `sync_all_segments`.
    """
    if not app_settings().sync_segments or not instance.is_active:
        return
    with fresh_rows():
        stored = Segment.objects.filter(pk=instance.pk).values_list("name", "is_active").first()
    if stored != (instance.name, True):
        key = instance.key

        # A function, not a `partial`: Django's log needs its name.
        def follow() -> None:
            publish(_task("sync_segment"), key)

        transaction.on_commit(follow, robust=True)


@receiver(ruleset_raised)
def count_segments_after_commit(**_kwargs: Any) -> None:
    """Count the changed segments once for each transaction, however many writes it makes.

    A failure is logged by Django. What the broker does not take is done by the schedule's
    `count_changed_segments`, within a minute.
    """
    connection = transaction.get_connection()
    if not any(function is _count_changed for _, function, _ in connection.run_on_commit):
        transaction.on_commit(_count_changed, robust=True)


def _count_changed() -> None:
    publish(_task("count_changed_segments"))


@receiver(deliveries_written)
def send_webhooks_after_commit(**_kwargs: Any) -> None:
    """Have a worker send them, once for each transaction. What the broker does not take, and everything
    where there is no broker, is sent by the schedule: no request waits for a receiver."""
    connection = transaction.get_connection()
    is_waiting = any(function is _send_webhooks for _, function, _ in connection.run_on_commit)
    if has_broker() and not is_waiting:
        transaction.on_commit(_send_webhooks, robust=True)


def _send_webhooks() -> None:
    publish(_task("send_webhooks"))


def _task(name: str) -> Any:
    return _loaded(f"tasks.{name}")


def _loaded(name: str) -> Any:
    """Something of this app, imported when it is first needed: no start needs what it needs."""
    return import_string(f"featureflags.{name}")


@receiver(post_delete, sender=Segment)
def forget_counts(instance: Segment, **_kwargs: Any) -> None:
    _loaded("audience.forget_segment")(instance.key)


@receiver(post_migrate)
def leave_nothing_behind(
    sender: AppConfig, using: str, plan: Iterable[tuple[Migration, bool]] = (), **_kwargs: Any
) -> None:
    """After `migrate featureflags zero`: delete what Django keeps about tables that are gone.

    Content types with their permissions, and the groups of staff that a migration made; a group that
    holds another permission too stays.
    """
    undone = {(each.app_label, each.name) for each, is_backwards in plan if is_backwards}
    if sender.name != FIRST_MIGRATION[0] or FIRST_MIGRATION not in undone:
        return
    content_types = apps.get_model("contenttypes", "ContentType").objects.using(using)
    content_types.filter(app_label=sender.label).delete()
    for group in apps.get_model("auth", "Group").objects.using(using).filter(name__in=STAFF_GROUPS):
        if not group.permissions.exclude(codename__startswith="view_").exists():
            group.delete()
