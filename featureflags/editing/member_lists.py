"""Lists of members, written as a whole: what an import, an upload and a restored version do.

Hidden SQL: the members of the segment are read; then one statement deletes and a few insert.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Final

from featureflags.core.uncached import fresh_rows
from featureflags.editing.changes import MemberDelta, SegmentDelta
from featureflags.models import Segment, SegmentMember
from featureflags.models.changesets import MemberState, segment_change

BATCH: Final = 500
"""Rows that one statement updates."""


def stored_members(segment_pk: int | None) -> dict[str, MemberState]:
    """The members of a segment by user key, never from a cache: one query."""
    if segment_pk is None:
        return {}
    members = SegmentMember.objects.filter(segment=segment_pk).states()
    return {str(user): state for (_, user), state in members.items()}


def member_deltas(
    before: Mapping[str, MemberState], after: Mapping[str, MemberState]
) -> dict[uuid.UUID, MemberDelta]:
    """What becomes of each user whose membership differs."""
    return {
        uuid.UUID(user): MemberDelta(before=before.get(user), after=after.get(user))
        for user in sorted(before.keys() | after.keys())
        if before.get(user) != after.get(user)
    }


def membership_of(segment: Segment, members: Mapping[uuid.UUID, MemberDelta]) -> SegmentDelta:
    """A change of these memberships alone."""
    state = segment.stored_state() or segment.as_state()
    return SegmentDelta(before=state, after=state, members=members)


def deletion_of(segment: Segment) -> SegmentDelta:
    """The deletion of a segment, with all its members."""
    members = member_deltas(stored_members(segment.pk), {})
    before = segment.stored_state() or segment.as_state()
    return SegmentDelta(before=before, after=None, members=members)


def replace_members(segment: Segment, wanted: Mapping[str, MemberState]) -> None:
    """Make these the members of the segment, by user key. Those who stay keep their row.

    Raises ValidationError where there are too many.
    """
    with segment_change():
        stored = stored_members(segment.pk)
        stale = [uuid.UUID(user) for user, state in stored.items() if wanted.get(user) != state]
        SegmentMember.objects.filter(segment=segment, user__in=stale).delete()
        SegmentMember.objects.bulk_create(
            SegmentMember(
                segment=segment,
                user_id=user,
                kind=state.kind,
                reason=state.reason,
                expires_at=state.expires_at,
            )
            for user, state in wanted.items()
            if stored.get(user) != state
        )


def change_members(segment: Segment, wanted: Mapping[str, MemberState | None]) -> None:
    """Write these memberships, by user key, and leave all others; None: there is to be none.

    Raises ValidationError where there would be too many.
    """
    users = [uuid.UUID(user) for user in wanted]
    with segment_change():
        rows = SegmentMember.objects.filter(segment=segment, user__in=users)
        with fresh_rows():
            stored = {str(row.user_id): row for row in rows}
        gone = [row.pk for user, row in stored.items() if wanted[user] is None]
        SegmentMember.objects.filter(pk__in=gone).delete()
        changed: list[SegmentMember] = []
        new: list[SegmentMember] = []
        for user, state in wanted.items():
            row = stored.get(user)
            if state is None or (row is not None and row.as_state() == state):
                continue
            (new if row is None else changed).append(
                _filled(row or SegmentMember(segment=segment, user_id=user), state)
            )
        SegmentMember.objects.bulk_update(changed, ["kind", "reason", "expires_at"], BATCH)
        SegmentMember.objects.bulk_create(new)


def _filled(row: SegmentMember, state: MemberState) -> SegmentMember:
    row.kind, row.reason, row.expires_at = state.kind, state.reason, state.expires_at
    return row
