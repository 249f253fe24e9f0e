"""What one change did to one segment. Pure: whoever has read the rows makes them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from featureflags.models import SegmentChange
from featureflags.models.changesets import MemberState, SegmentState


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberDelta:
    """One membership before and after; None: there was none, or is none any more."""

    before: MemberState | None
    after: MemberState | None
    account_deleted: bool = False

    @property
    def moves(self) -> bool:
        """Whether more than the reason differs."""
        return _in_force(self.before) != _in_force(self.after)


def _in_force(state: MemberState | None) -> object:
    return None if state is None else (state.kind, state.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentDelta:
    """A segment before and after, and those of its memberships that differ, by user."""

    before: SegmentState | None
    after: SegmentState | None
    members: Mapping[uuid.UUID, MemberDelta] = field(default_factory=dict)

    @property
    def state(self) -> SegmentState:
        """The segment as it is, or as it was before it was deleted."""
        state = self.after or self.before
        if state is None:
            raise ValueError("A segment was there before a change, or is there after it.")
        return state

    @property
    def kind(self) -> SegmentChange.Kind:
        if self.before is None:
            return SegmentChange.Kind.CREATED
        return SegmentChange.Kind.DELETED if self.after is None else SegmentChange.Kind.CHANGED

    @property
    def is_nothing(self) -> bool:
        """Whether all is as it was."""
        if self.before is None or self.after is None:
            return False
        return not self.members and self.before.says_the_same(self.after)

    @property
    def moves_by_rules(self) -> bool:
        """Whether anybody can enter or leave who is no member by name."""
        if self.before is None or self.after is None:
            return True
        same_activity = self.before.is_active == self.after.is_active
        return not (same_activity and self.before.same_rules(self.after))

    @property
    def moves_by_name(self) -> bool:
        """Whether a membership changes by more than its reason."""
        return any(one.moves for one in self.members.values())

    @property
    def is_inactive(self) -> bool:
        """Whether nobody is in the segment, before or after."""
        return not any(state is not None and state.is_active for state in (self.before, self.after))
