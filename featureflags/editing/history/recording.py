"""Writes the history: one entry for each segment that a change has touched, in its transaction.

Hidden SQL: the rows as they are after the change, the entries, and a count of who moved where
nobody has counted yet.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping

from featureflags.cache.unit_of_work import current_unit
from featureflags.editing.changes import MemberDelta, SegmentDelta
from featureflags.editing.documents import dump_state
from featureflags.editing.history.moved_users import count_moved
from featureflags.models import MemberChange, Segment, SegmentChange, SegmentMember
from featureflags.models.changesets import Moved, OpenChange, Place
from users.models import User


def record(change: OpenChange) -> None:
    """Write what a change did, now that it ends. Whatever is as it was leaves no entry."""
    deltas = {pk: delta for pk, delta in _deltas(change).items() if not delta.is_nothing}
    if not deltas:
        return
    moved = _moved(change, deltas)
    for pk, delta in deltas.items():
        _write(change, delta, moved.get(pk))


def _moved(change: OpenChange, deltas: Mapping[int, SegmentDelta]) -> dict[int, Moved]:
    known = {
        pk: change.moved[delta.state.key]
        for pk, delta in deltas.items()
        if delta.state.key in change.moved
    }
    left = {pk: delta for pk, delta in deltas.items() if pk not in known}
    return {**known, **count_moved(left)} if left else known


def _deltas(change: OpenChange) -> dict[int, SegmentDelta]:
    """Before and after of each segment that was touched, or whose members were, by id."""
    touched = {*change.segments, *(segment for segment, _ in change.members)}
    now = Segment.objects.filter(pk__in=touched).states()
    members: dict[int, dict[uuid.UUID, MemberDelta]] = {}
    for (segment, user), delta in _member_deltas(change):
        members.setdefault(segment, {})[user] = delta
    return {
        pk: SegmentDelta(
            before=change.segments.get(pk, now.get(pk)),
            after=now.get(pk),
            members=members.get(pk, {}),
        )
        for pk in sorted(touched)
        # One that came and went within the change was never there.
        if pk in now or change.segments.get(pk) is not None
    }


def _member_deltas(change: OpenChange) -> Iterator[tuple[Place, MemberDelta]]:
    now = SegmentMember.objects.all().states_at(change.members.keys())
    for place, before in change.members.items():
        gone = place[1] in change.deleted_accounts
        # An account that is being deleted takes the row along in a moment.
        after = None if gone else now[place]
        if before != after:
            yield place, MemberDelta(before=before, after=after, account_deleted=gone)


def _write(change: OpenChange, delta: SegmentDelta, moved: Moved | None) -> None:
    actor = _actor(change)
    entry = SegmentChange.objects.create(
        segment_key=delta.state.key,
        kind=delta.kind,
        version=delta.state.version,
        actor=actor,
        source=change.source,
        note=change.note,
        before=None if delta.before is None else dump_state(delta.before),
        after=None if delta.after is None else dump_state(delta.after),
        entering=None if moved is None else moved.entering,
        leaving=None if moved is None else moved.leaving,
        at_least=moved is not None and moved.at_least,
        restored_id=change.restores,
    )
    MemberChange.objects.bulk_create(
        _member_change(entry, user, one) for user, one in delta.members.items()
    )


def _member_change(entry: SegmentChange, user: uuid.UUID, one: MemberDelta) -> MemberChange:
    row = MemberChange(change=entry, user_id=None if one.account_deleted else user)
    if one.before is not None:
        row.kind_before, row.expires_before = one.before.kind, one.before.expires_at
    if one.after is not None:
        row.kind_after, row.expires_after = one.after.kind, one.after.expires_at
        row.reason_after = one.after.reason
    if one.before is not None and not one.account_deleted:
        row.reason_before = one.before.reason
    return row


def _actor(change: OpenChange) -> User | None:
    """Whoever was named, else the user of the request at hand; None: the system."""
    if change.actor is None or isinstance(change.actor, User):
        return change.actor
    unit = current_unit()
    user = getattr(unit.request, "user", None) if unit is not None else None
    return user if isinstance(user, User) else None
