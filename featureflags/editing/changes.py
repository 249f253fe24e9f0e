"""A change: one segment before and after, with the memberships that differ.

Surfaces make one with `change_to`, `deletion_of` or `membership_change`; the history and an import
make theirs from states. A change is a value: to make it reads the database, and writes nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from featureflags.core.conf import app_settings
from featureflags.core.types import AccountKey
from featureflags.kinds.registry import USER, user_kind
from featureflags.models import HistoryEntry, Segment, SegmentMember
from featureflags.models.changesets import MemberState, SegmentState
from featureflags.models.limits import TOO_MANY_MEMBERS


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberChange:
    """One membership before and after; None: there is no membership."""

    before: MemberState | None
    after: MemberState | None
    account_deleted: bool = False

    @property
    def moves(self) -> bool:
        """True if more than the reason differs."""
        return _in_force(self.before) != _in_force(self.after)


def _in_force(state: MemberState | None) -> object:
    return None if state is None else (state.kind, state.starts_at, state.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One segment before and after, and the memberships that differ, by user (or key of another kind)."""

    before: SegmentState | None
    """None: the segment is created."""
    after: SegmentState | None
    """None: the segment is deleted."""
    members: Mapping[AccountKey, MemberChange] = field(default_factory=dict)
    expected_version: int | None = None
    """`apply` raises StaleSegment where another version is stored. None: any version will do."""
    columns: frozenset[str] | None = None
    """`apply` writes only these columns of the segment. None: all of them."""
    restores: int | None = None
    """The id of the history entry that is restored."""

    @property
    def state(self) -> SegmentState:
        """The segment after the change, or before it if it is deleted."""
        state = self.after or self.before
        if state is None:
            raise ValueError("A change needs a segment before it or after it.")
        return state

    @property
    def key(self) -> str:
        return self.state.key

    @property
    def kind(self) -> HistoryEntry.Kind:
        if self.before is None:
            return HistoryEntry.Kind.CREATED
        return HistoryEntry.Kind.DELETED if self.after is None else HistoryEntry.Kind.CHANGED

    @property
    def is_nothing(self) -> bool:
        """True if nothing differs."""
        if self.before is None or self.after is None:
            return False
        return not self.members and self.before.says_the_same(self.after)

    @property
    def is_of_members_only(self) -> bool:
        """True if the row of the segment stays as it is."""
        return bool(self.members) and self.before == self.after

    @property
    def moves_by_rules(self) -> bool:
        """True if users who are not members by name can enter or leave."""
        if self.before is None or self.after is None:
            return True
        same_activity = self.before.is_active == self.after.is_active
        return not (same_activity and self.before.same_rules(self.after))

    @property
    def moves_by_name(self) -> bool:
        """True if a membership changes by more than its reason."""
        return any(one.moves for one in self.members.values())

    @property
    def moves_users(self) -> bool:
        """True if users can enter or leave: an inactive segment has none, before and after."""
        is_active = any(
            state is not None and state.is_active for state in (self.before, self.after)
        )
        return is_active and (self.moves_by_rules or self.moves_by_name)

    def ends_within(self, first: datetime.datetime, last: datetime.datetime) -> bool:
        """True if every membership in it ends after the first instant, and by the last one."""
        states = (one.after for one in self.members.values())
        ends = [None if state is None else state.expires_at for state in states]
        return all(at is not None and first < at <= last for at in ends)

    @property
    def archives(self) -> bool:
        """True if the segment goes into the archive."""
        after = self.after is not None and self.after.is_archived
        return after and not (self.before is not None and self.before.is_archived)

    @property
    def disappears(self) -> bool:
        """True if the segment is deleted or deactivated."""
        if self.before is None:
            return False
        return self.after is None or (self.before.is_active and not self.after.is_active)


def permissions_for(change: Change) -> list[str]:
    """Django's permissions that it takes to make a change."""
    verb = "add" if change.before is None else "delete" if change.after is None else "change"
    wanted = [] if change.is_of_members_only else [f"{verb}_segment"]
    verbs = {
        "add" if one.before is None else "delete" if one.after is None else "change"
        for one in change.members.values()
    }
    wanted += [f"{each}_segmentmember" for each in sorted(verbs)]
    return [f"featureflags.{name}" for name in wanted]


def change_to(segment: Segment, *, columns: frozenset[str] | None = None) -> Change:
    """From the stored row to what this object holds: one query, none for a new segment."""
    adding = segment._state.adding
    before = None if adding else segment.stored_state()
    return Change(before=before, after=segment.as_state(), columns=columns)


def deletion_of(segment: Segment) -> Change:
    """The deletion of a segment with all its members: two queries."""
    before = segment.stored_state() or segment.as_state()
    members = member_changes(stored_members(segment.key), {}, before.kind)
    return Change(before=before, after=None, members=members)


def membership_change(segment: Segment, wanted: Mapping[str, MemberState | None]) -> Change:
    """These memberships, by key, and no others; None: there is to be no membership.

    Raises ValidationError where the segment would have too many members.
    """
    keys = [place_key(row, segment.kind) for row in wanted]
    stored = SegmentMember.objects.all().states_at([(segment.pk, key) for key in keys])
    members = {
        key: MemberChange(before=stored[segment.pk, key], after=state)
        for key, state in zip(keys, wanted.values(), strict=True)
        if stored[segment.pk, key] != state
    }
    added = sum(one.before is None for one in members.values())
    if added:
        removed = sum(one.after is None for one in members.values())
        count = SegmentMember.objects.filter(segment=segment).count() + added - removed
        limit = app_settings().max_members
        if count > limit:
            text = _("The segment would have %(count)s members by name; %(limit)s are allowed.")
            shown = {"count": f"{count:,}", "limit": f"{limit:,}"}
            raise ValidationError(text % shown, code=TOO_MANY_MEMBERS)
    state = segment.stored_state() or segment.as_state()
    return Change(before=state, after=state, members=members)


def stored_members(key: str) -> dict[str, MemberState]:
    """The members of a segment by key, never from a cache: one query."""
    members = SegmentMember.objects.filter(segment__key=key).states()
    return {str(user): state for (_segment, user), state in members.items()}


def place_key(key: str, kind: str) -> AccountKey:
    """How a changeset names a row of a kind: the primary key of a user, or the key of another row."""
    return user_kind().parse_key(key) if kind == USER else key


def member_changes(
    before: Mapping[str, MemberState], after: Mapping[str, MemberState], kind: str = USER
) -> dict[AccountKey, MemberChange]:
    """The rows of a kind whose membership differs."""
    return {
        place_key(user, kind): MemberChange(before=before.get(user), after=after.get(user))
        for user in sorted(before.keys() | after.keys())
        if before.get(user) != after.get(user)
    }
