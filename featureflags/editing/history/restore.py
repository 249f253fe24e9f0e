"""Bring back what a segment was. A version that is restored is a new change: nothing is undone.

Hidden SQL: the segment and its members as they are, and the memberships that were touched since.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone

from featureflags.core.uncached import fresh_rows
from featureflags.editing.changes import SegmentDelta
from featureflags.editing.history.entries import members_undone, state_after, state_before
from featureflags.editing.member_lists import member_deltas, replace_members, stored_members
from featureflags.models import Segment, SegmentChange
from featureflags.models.changesets import MemberState, Moved, segment_change


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoration:
    """What restoring an entry of the history would write."""

    change: SegmentChange
    segment_pk: int | None
    """None: the segment is deleted, and is created again."""
    delta: SegmentDelta
    members: dict[str, MemberState]
    """By user key, as they will be."""
    ended: int
    """Memberships that have ended since, which are not brought back."""


def restoration(change: SegmentChange) -> Restoration:
    """What it takes to make the segment again what it was after this change; after a deletion,
    what it was before."""
    deleted = change.after is None
    wanted = state_before(change) if deleted else state_after(change)
    if wanted is None:
        raise ValueError("a change has a definition before or after it")
    with fresh_rows():
        pk = Segment.objects.filter(key=wanted.key).values_list("pk", flat=True).first()
    now = None if pk is None else Segment.objects.filter(pk=pk).states()[pk]
    current = stored_members(pk)
    # Undo the deletion itself too.
    since = change.pk - 1 if deleted else change.pk
    then = members_undone(wanted.key, current, since=since)
    lasting = {
        user: state for user, state in then.items() if current.get(user) == state or _lasts(state)
    }
    return Restoration(
        change=change,
        segment_pk=pk,
        delta=SegmentDelta(before=now, after=wanted, members=member_deltas(current, lasting)),
        members=lasting,
        ended=len(then) - len(lasting),
    )


def _lasts(state: MemberState) -> bool:
    return state.expires_at is None or state.expires_at > timezone.now()


def restore(
    planned: Restoration, *, note: str = "", source: str = "", moved: Moved | None = None
) -> Segment:
    """Write it. `moved`: the numbers, if they are known.

    Raises StaleSegment where the segment is no longer what it was when this was planned, and
    ValidationError where the rules may not be saved any more (they name what is gone), or where
    there are too many members. Nothing is written then.
    """
    known = {} if moved is None else {planned.delta.state.key: moved}
    with segment_change(note=note, source=source, restores=planned.change.pk, moved=known):
        segment = Segment(key=planned.delta.state.key)
        if planned.segment_pk is not None:
            with fresh_rows():
                segment = Segment.objects.get(pk=planned.segment_pk)
        _fill(segment, planned)
        before = planned.delta.before
        segment.save(expected_version=None if before is None else before.version)
        replace_members(segment, planned.members)
    return segment


def _fill(segment: Segment, planned: Restoration) -> None:
    wanted = planned.delta.state
    segment.name, segment.description = wanted.name, wanted.description
    segment.is_active, segment.rules = wanted.is_active, wanted.rules
