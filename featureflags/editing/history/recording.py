"""Writes the history: one entry for each segment that a changeset changed, in its transaction, and
announces it to webhooks.

Hidden SQL: the rows as they are now, the entries, the webhooks, and a count of the users who moved, unless the
changeset knows the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from django.contrib.auth.base_user import AbstractBaseUser

from featureflags.cache.unit_of_work import current_unit
from featureflags.core.types import Account, AccountKey, JSONValue
from featureflags.editing.about import dump_state
from featureflags.editing.changes import Change, MemberChange
from featureflags.editing.moved_users import count_moved
from featureflags.kinds.registry import USER, user_kind
from featureflags.models import (
    EventType,
    HistoryEntry,
    HistoryMember,
    Segment,
    SegmentMember,
    Webhook,
)
from featureflags.models.changesets import Changeset, Moved, Place

AT_ONCE: Final = 1_000
"""Rows of one statement."""


def record(changeset: Changeset) -> None:
    """Write the entries of a changeset that is closing. What did not change leaves no entry."""
    changes = {pk: change for pk, change in _changes(changeset).items() if not change.is_nothing}
    if not changes:
        return
    moved = _moved(changeset, changes)
    entries = HistoryEntry.objects.bulk_create(
        [_entry(changeset, change, moved.get(pk)) for pk, change in changes.items()], AT_ONCE
    )
    both = list(zip(entries, changes.values(), strict=True))
    HistoryMember.objects.bulk_create(
        (
            _member(entry, user, one, of_users=change.state.kind == USER)
            for entry, change in both
            for user, one in change.members.items()
        ),
        AT_ONCE,
    )
    announced = [_announced(entry, change.state.kind) for entry, change in both]
    Webhook.objects.announce(EventType.SEGMENT_CHANGED, announced)


def _moved(changeset: Changeset, changes: Mapping[int, Change]) -> dict[int, Moved]:
    known = {
        pk: changeset.moved[change.key]
        for pk, change in changes.items()
        if change.key in changeset.moved
    }
    left = {pk: change for pk, change in changes.items() if pk not in known}
    return {**known, **count_moved(left)} if left else known


def _changes(changeset: Changeset) -> dict[int, Change]:
    """Each segment of which the row or the members were written, by id."""
    touched = {*changeset.segments, *(segment for segment, _ in changeset.members)}
    now = Segment.objects.filter(pk__in=touched).states()
    members: dict[int, dict[AccountKey, MemberChange]] = {}
    for (segment, user), one in _member_changes(changeset):
        members.setdefault(segment, {})[user] = one
    return {
        pk: Change(
            before=changeset.segments.get(pk, now.get(pk)),
            after=now.get(pk),
            members=members.get(pk, {}),
        )
        for pk in sorted(touched)
        # A segment that was created and deleted within the changeset leaves nothing.
        if pk in now or changeset.segments.get(pk) is not None
    }


def _member_changes(changeset: Changeset) -> Iterator[tuple[Place, MemberChange]]:
    now = SegmentMember.objects.all().states_at(changeset.members.keys())
    for place, before in changeset.members.items():
        gone = place in changeset.deleted_rows
        # The row of an account that is being deleted is still there, and will be gone.
        after = None if gone else now[place]
        if before != after:
            yield place, MemberChange(before=before, after=after, account_deleted=gone)


def _announced(entry: HistoryEntry, kind: str) -> dict[str, JSONValue]:
    """Without the note, which may name people."""
    actor, approver = entry.actor, entry.approved_by
    return {
        "segment": entry.segment_key,
        "kind": kind,
        "change": str(entry.kind),
        "version": entry.version,
        "entering": entry.entering,
        "leaving": entry.leaving,
        "at_least": entry.at_least,
        "actor": None if actor is None else str(user_kind().key_of(actor)),
        "approved_by": None if approver is None else str(user_kind().key_of(approver)),
        "is_emergency": entry.is_emergency,
        "source": entry.source,
        "entry": entry.pk,
    }


def _entry(changeset: Changeset, change: Change, moved: Moved | None) -> HistoryEntry:
    return HistoryEntry(
        segment_key=change.key,
        kind=change.kind,
        version=change.state.version,
        actor=_actor(changeset),
        source=changeset.source,
        note=changeset.note,
        before=None if change.before is None else dump_state(change.before),
        after=None if change.after is None else dump_state(change.after),
        entering=None if moved is None else moved.entering,
        leaving=None if moved is None else moved.leaving,
        at_least=moved is not None and moved.at_least,
        restored_id=changeset.restores,
        approved_by=changeset.approved_by,
        is_emergency=change.key in changeset.emergencies,
    )


def _member(
    entry: HistoryEntry, user: AccountKey, one: MemberChange, *, of_users: bool
) -> HistoryMember:
    row = HistoryMember(entry=entry)
    if not one.account_deleted:
        if of_users:
            row.user_id = user
        else:
            row.key = user
    if one.before is not None:
        row.kind_before, row.expires_before = one.before.kind, one.before.expires_at
        row.starts_before = one.before.starts_at
    if one.after is not None:
        row.kind_after, row.expires_after = one.after.kind, one.after.expires_at
        row.starts_after = one.after.starts_at
        row.reason_after = one.after.reason
    if one.before is not None and not one.account_deleted:
        row.reason_before = one.before.reason
    return row


def _actor(changeset: Changeset) -> Account | None:
    """The actor who was named, else the user of the current request; None: the system."""
    if changeset.actor is None or isinstance(changeset.actor, AbstractBaseUser):
        return changeset.actor
    unit = current_unit()
    user = getattr(unit.request, "user", None) if unit is not None else None
    return user if isinstance(user, AbstractBaseUser) else None
