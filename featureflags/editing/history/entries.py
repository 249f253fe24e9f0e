"""The history in words: entries for a page, and what a segment was at an entry.

Hidden SQL: whatever the number of entries, `entries` is one query for those of a page, and two
for the memberships that they touched.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Count, F, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils.translation import gettext as _

from featureflags.editing.changes import SegmentDelta
from featureflags.editing.differences import (
    NAMED,
    MemberDifference,
    MemberGroup,
    differences,
    member_groups,
    members_in_words,
)
from featureflags.editing.documents import SegmentDocument, document_of, load_state
from featureflags.editing.member_lists import stored_members
from featureflags.editing.moments import moment_in_words
from featureflags.models import MemberChange, Segment, SegmentChange
from featureflags.models.changesets import MemberState, Moved, SegmentState
from users.models import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change of one segment, in words."""

    id: int
    segment_key: str
    kind: str
    version: int
    at: datetime.datetime
    actor: User | None
    who: str
    """The name or address of the actor, or what stands for one."""
    source: str
    """On which way it came, in words; may be empty."""
    note: str
    lines: tuple[str, ...]
    moved: Moved | None
    """None: not counted."""
    restored_at: datetime.datetime | None
    """When the version was left that this change restored."""

    @property
    def when(self) -> str:
        """In the site's time zone, which is named."""
        return moment_in_words(self.at)

    @property
    def restored_when(self) -> str:
        return "" if self.restored_at is None else moment_in_words(self.restored_at)

    @property
    def numbers(self) -> str:
        """How many users entered and left, in words."""
        return "" if self.moved is None else moved_in_words(self.moved)


def changes_of(key: str) -> QuerySet[SegmentChange]:
    """The changes of the segment with this key, the newest first."""
    return SegmentChange.objects.filter(segment_key=key).order_by("-pk")


def entries(changes: Iterable[SegmentChange], *, with_addresses: bool) -> list[Entry]:
    """The changes in words. Members are named by their address only if the reader may know it.

    The changes should come with `actor` and `restored`.
    """
    listed = list(changes)
    groups = _member_groups([change.pk for change in listed], with_addresses=with_addresses)
    return [
        _entry(change, groups.get(change.pk, []), with_addresses=with_addresses)
        for change in listed
    ]


def state_before(change: SegmentChange) -> SegmentState | None:
    return None if change.before is None else load_state(change.before)


def state_after(change: SegmentChange) -> SegmentState | None:
    return None if change.after is None else load_state(change.after)


def state_at(key: str, version: int) -> SegmentState | None:
    """The segment as it was in this version; None if the history does not know."""
    change = changes_of(key).filter(version__lte=version).first()
    return None if change is None else state_after(change) or state_before(change)


def definition_lines(old: SegmentState | None, new: SegmentState | None) -> list[str]:
    """What differs between two rows, in sentences."""
    lines = differences(_document(old), _document(new))
    if lines or old is None or new is None or old.says_the_same(new):
        return lines
    return [_("Rules that are broken changed")]


def delta_lines(delta: SegmentDelta, *, with_addresses: bool) -> list[str]:
    """What a change does that need not be made yet, in sentences: one query for the addresses."""
    groups = member_groups(
        MemberDifference(user=str(user), before=one.before, after=one.after)
        for user, one in delta.members.items()
    )
    named = {one.user for group in groups for one in group.some if one.user is not None}
    names: dict[str, str] = {}
    if with_addresses and named:
        rows = User.objects.filter(pk__in=[uuid.UUID(key) for key in named])
        names = {str(key): email for key, email in rows.values_list("pk", "email")}
    lines = definition_lines(delta.before, delta.after)
    return lines + members_in_words(groups, lambda key: names.get(key, key))


def _document(state: SegmentState | None) -> SegmentDocument | None:
    return None if state is None else document_of(state)


def _entry(change: SegmentChange, groups: list[MemberGroup], *, with_addresses: bool) -> Entry:
    lines = definition_lines(state_before(change), state_after(change))
    lines += members_in_words(groups)
    return Entry(
        id=change.pk,
        segment_key=change.segment_key,
        kind=change.kind,
        version=change.version,
        at=change.at,
        actor=change.actor,
        who=_who(change.actor, with_addresses=with_addresses),
        source=source_in_words(change.source),
        note=change.note,
        lines=tuple(lines),
        moved=moved_of(change),
        restored_at=None if change.restored is None else change.restored.at,
    )


def _who(actor: User | None, *, with_addresses: bool) -> str:
    if actor is None:
        return _("the system")
    return actor.name or (actor.email if with_addresses else str(actor.pk))


def moved_in_words(moved: Moved) -> str:
    """How many users enter and leave: `+1,200, \u22123`, or that there are at least so many."""
    told = f"+{moved.entering:,}, \u2212{moved.leaving:,}"
    return _("at least %s") % told if moved.at_least else told


def moved_of(change: SegmentChange) -> Moved | None:
    """The numbers of a change, if somebody has counted them."""
    if change.entering is None or change.leaving is None:
        return None
    return Moved(entering=change.entering, leaving=change.leaving, at_least=change.at_least)


def source_in_words(source: str) -> str:
    """On which way a change came."""
    known = {"": "", "admin": _("in the admin"), "api": _("through the API")}
    return known.get(source, _("by the command %s") % source)


def _member_groups(ids: Collection[int], *, with_addresses: bool) -> dict[int, list[MemberGroup]]:
    """The memberships that each change touched: how many, and the first of each kind by name."""
    place = ("change_id", "kind_before", "kind_after")
    rows = MemberChange.objects.filter(change__in=ids).order_by()
    counts = {
        (change, before, after): number
        for change, before, after, number in rows.values_list(*place).annotate(n=Count("pk"))
    }
    some: dict[tuple[int, str, str], list[MemberDifference]] = {}
    first = rows.select_related("user").annotate(
        place=Window(RowNumber(), partition_by=[F(name) for name in place], order_by="pk")
    )
    for row in first.filter(place__lte=NAMED).order_by("pk"):
        where = (row.change_id, row.kind_before, row.kind_after)
        some.setdefault(where, []).append(_difference(row, with_addresses=with_addresses))
    groups: dict[int, list[MemberGroup]] = {}
    for (change, before, after), number in sorted(counts.items()):
        group = MemberGroup(
            before=before, after=after, count=number, some=tuple(some[change, before, after])
        )
        groups.setdefault(change, []).append(group)
    return groups


def _difference(row: MemberChange, *, with_addresses: bool) -> MemberDifference:
    name = None if row.user is None else row.user.email if with_addresses else str(row.user_id)
    return MemberDifference(user=name, before=member_before(row), after=member_after(row))


def member_before(row: MemberChange) -> MemberState | None:
    if not row.kind_before:
        return None
    return MemberState(
        kind=row.kind_before, reason=row.reason_before, expires_at=row.expires_before
    )


def member_after(row: MemberChange) -> MemberState | None:
    if not row.kind_after:
        return None
    return MemberState(kind=row.kind_after, reason=row.reason_after, expires_at=row.expires_after)


def members_at(change: SegmentChange) -> dict[str, MemberState]:
    """The members right after this change, by user key: two queries for those of now, and one for
    what has happened since."""
    segment = Segment.objects.filter(key=change.segment_key)
    current = stored_members(segment.values_list("pk", flat=True).first())
    return members_undone(change.segment_key, current, since=change.pk)


def members_undone(
    key: str, current: Mapping[str, MemberState], *, since: int
) -> dict[str, MemberState]:
    """The members as they were right after the change `since`, by user key.

    `current` are those of now. Whoever was deleted meanwhile is not among them.
    """
    members = dict(current)
    later = MemberChange.objects.filter(
        change__segment_key=key, change__gt=since, user__isnull=False
    )
    # The latest first, so that what was there before the earliest one is what remains.
    for row in later.order_by("-change_id", "-pk").iterator():
        before = member_before(row)
        if before is None:
            members.pop(str(row.user_id), None)
        else:
            members[str(row.user_id)] = before
    return members
