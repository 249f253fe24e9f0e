"""Reads the history: entries in words for a page, and what a segment was after an entry.

Hidden SQL: `describe` asks one query for the entries of a page, however many, and two for the
memberships that they changed.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, F, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils.translation import gettext as _

from featureflags.core.types import Account
from featureflags.editing.about import load_state
from featureflags.editing.accepted_warnings import ACCEPTED
from featureflags.editing.change_sentences import (
    NAMED,
    MemberGroup,
    NamedMember,
    members_in_words,
    moved_in_words,
    segment_in_words,
)
from featureflags.editing.changes import stored_members
from featureflags.editing.condition_sentences import moment_in_words
from featureflags.kinds.registry import USER, kind_named, user_kind
from featureflags.models import HistoryEntry, HistoryMember
from featureflags.models.changesets import MemberState, Moved, SegmentState

PROMOTED: Final = "promote_segments"
"""The source of what came from another installation, by a page or by the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedEntry:
    """One entry of the history, in words."""

    id: int
    segment_key: str
    kind: str
    version: int
    at: datetime.datetime
    actor: Account | None
    who: str
    """The name or address of the actor; “the system” without one."""
    source: str
    """Where the change came from, in words; may be empty."""
    note: str
    lines: tuple[str, ...]
    named: tuple[tuple[str, str], ...]
    """Key and title of the rows in `lines` that there are, and whose kind the reader may see."""
    segment_kind: str
    """The kind of these rows."""
    moved: Moved | None
    """None: not counted."""
    restored_at: datetime.datetime | None
    """When the entry was written that this one restored."""
    approved_by: str = ""
    """Who approved it; empty: nobody had to, or nobody did."""
    is_emergency: bool = False
    """It needed an approval, and was made without."""

    @property
    def when(self) -> str:
        """In the site's time zone, with its name."""
        return moment_in_words(self.at)

    @property
    def restored_when(self) -> str:
        return "" if self.restored_at is None else moment_in_words(self.restored_at)

    @property
    def numbers(self) -> str:
        """How many users entered and left, in words."""
        return "" if self.moved is None else moved_in_words(self.moved)


def entries_of(key: str) -> QuerySet[HistoryEntry]:
    """The entries of the segment with this key, the newest first."""
    found = HistoryEntry.objects.filter(segment_key=key)
    return found.select_related("actor", "approved_by", "restored").order_by("-pk")


def changed_since(moment: datetime.datetime) -> QuerySet[HistoryEntry, str]:
    """The keys of the segments that changed since, or whose members did."""
    return HistoryEntry.objects.filter(at__gte=moment).values_list("segment_key", flat=True)


def describe(entries: Iterable[HistoryEntry], *, sees: Collection[str]) -> list[DescribedEntry]:
    """The entries in words. `sees`: kinds whose rows the reader may see by title; others are keys."""
    listed = list(entries)
    groups = _member_groups(listed, sees=sees)
    return [
        DescribedEntry(
            id=entry.pk,
            segment_key=entry.segment_key,
            kind=entry.kind,
            version=entry.version,
            at=entry.at,
            actor=entry.actor,
            who=who_in_words(entry.actor, with_addresses=USER in sees),
            source=source_in_words(entry.source),
            note=entry.note,
            lines=(
                *_accepted_in_words(entry),
                *segment_in_words(state_before(entry), state_after(entry)),
                *members_in_words(groups.get(entry.pk, []), kind_of_entry(entry)),
            ),
            named=tuple(
                (one.key, one.user)
                for group in groups.get(entry.pk, [])
                for one in group.some
                if one.key and one.user
            ),
            segment_kind=kind_of_entry(entry),
            moved=_moved_of(entry),
            restored_at=None if entry.restored is None else entry.restored.at,
            approved_by=_approver(entry, with_addresses=USER in sees),
            is_emergency=entry.is_emergency,
        )
        for entry in listed
    ]


def state_before(entry: HistoryEntry) -> SegmentState | None:
    return None if entry.before is None else load_state(entry.before)


def state_after(entry: HistoryEntry) -> SegmentState | None:
    return None if entry.after is None else load_state(entry.after)


def state_at(key: str, version: int) -> SegmentState | None:
    """The segment as it was in this version; None if the history does not know."""
    entry = entries_of(key).filter(version__lte=version).first()
    return None if entry is None else state_after(entry) or state_before(entry)


def who_in_words(actor: Account | None, *, with_addresses: bool) -> str:
    """The name of an account, or else its title or key; “the system” without one."""
    if actor is None:
        return _("the system")
    kind = user_kind()
    titled = kind.title_of_row(actor) if with_addresses else kind.key_of(actor)
    return kind.label_of_row(actor) or titled


def _approver(entry: HistoryEntry, *, with_addresses: bool) -> str:
    approver = entry.approved_by
    return "" if approver is None else who_in_words(approver, with_addresses=with_addresses)


def _moved_of(entry: HistoryEntry) -> Moved | None:
    if entry.entering is None or entry.leaving is None:
        return None
    return Moved(entering=entry.entering, leaving=entry.leaving, at_least=entry.at_least)


def source_in_words(source: str) -> str:
    """By which way a change came."""
    known = {
        "": "",
        "admin": _("in the admin"),
        "api": _("through the API"),
        PROMOTED: _("from another installation"),
        ACCEPTED: "",
    }
    return known.get(source, _("by the command %s") % source)


def _accepted_in_words(entry: HistoryEntry) -> tuple[str, ...]:
    words = _("Accepted: rules that test only what users write themselves.")
    return (words,) if entry.source == ACCEPTED else ()


def _member_groups(
    entries: Collection[HistoryEntry], *, sees: Collection[str]
) -> dict[int, list[MemberGroup]]:
    """The memberships that each entry changed: how many, and the first of each kind by name."""
    ids = [entry.pk for entry in entries]
    place = ("entry_id", "kind_before", "kind_after")
    rows = HistoryMember.objects.filter(entry__in=ids).order_by()
    counts = {
        (entry, before, after): number
        for entry, before, after, number in rows.values_list(*place).annotate(n=Count("pk"))
    }
    some: dict[tuple[int, str, str], list[NamedMember]] = {}
    first = rows.select_related("user").annotate(
        place=Window(RowNumber(), partition_by=[F(name) for name in place], order_by="pk")
    )
    rows_named = list(first.filter(place__lte=NAMED).order_by("pk"))
    titles = _titles_of_others(entries, rows_named, sees)
    for row in rows_named:
        title = titles.get(row.pk)
        if row.user is not None and USER in sees:
            title = user_kind().title_of_row(row.user)
        where = (row.entry_id, row.kind_before, row.kind_after)
        key = "" if row.row_key is None else str(row.row_key)
        some.setdefault(where, []).append(
            NamedMember(user=title or key or None, key=key if title else "", after=_after(row))
        )
    groups: dict[int, list[MemberGroup]] = {}
    for (entry, before, after), number in sorted(counts.items()):
        group = MemberGroup(
            before=before, after=after, count=number, some=tuple(some[entry, before, after])
        )
        groups.setdefault(entry, []).append(group)
    return groups


def _titles_of_others(
    entries: Collection[HistoryEntry], rows: Collection[HistoryMember], sees: Collection[str]
) -> dict[int, str]:
    """The titles of rows of other kinds than `user`, by the id of the member: one query for each kind."""
    kinds = {entry.pk: kind_of_entry(entry) for entry in entries}
    found: dict[int, str] = {}
    for name in (set(kinds.values()) - {USER}).intersection(sees):
        some = [row for row in rows if row.key and kinds[row.entry_id] == name]
        kind = kind_named(name)
        titles = kind.titles({row.key for row in some}) if kind is not None and some else {}
        found |= {row.pk: titles[row.key] for row in some if row.key in titles}
    return found


def kind_of_entry(entry: HistoryEntry) -> str:
    """The kind of its segment."""
    state = state_after(entry) or state_before(entry)
    return USER if state is None else state.kind


def _before(row: HistoryMember) -> MemberState | None:
    if not row.kind_before:
        return None
    return MemberState(
        kind=row.kind_before,
        reason=row.reason_before,
        starts_at=row.starts_before,
        expires_at=row.expires_before,
    )


def _after(row: HistoryMember) -> MemberState | None:
    if not row.kind_after:
        return None
    return MemberState(
        kind=row.kind_after,
        reason=row.reason_after,
        starts_at=row.starts_after,
        expires_at=row.expires_after,
    )


def members_after(entry: HistoryEntry) -> dict[str, MemberState]:
    """The members right after this entry, by user key: a query for those of now, and one for what
    has changed since."""
    current = stored_members(entry.segment_key)
    return members_undone(entry.segment_key, current, since=entry.pk)


def members_undone(
    key: str, current: Mapping[str, MemberState], *, since: int
) -> dict[str, MemberState]:
    """The members right after the entry with the id `since`, by key.

    `current`: the members of now. Rows that were deleted since are missing.
    """
    members = dict(current)
    later = HistoryMember.objects.filter(entry__segment_key=key, entry__gt=since).exclude(
        user__isnull=True, key=""
    )
    # The latest first, so that the state before the earliest one remains.
    for row in later.order_by("-entry_id", "-pk").iterator():
        before = _before(row)
        if before is None:
            members.pop(str(row.row_key), None)
        else:
            members[str(row.row_key)] = before
    return members
