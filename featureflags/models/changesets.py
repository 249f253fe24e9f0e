"""One door for writes to segments and their members: what is written together is one change.

    with segment_change(note="The autumn campaign", source="import_segments"):
        segment.save()
        SegmentMember.objects.bulk_create(members)

The models and their managers open a change of their own where none is open, so that no way of
writing goes past it. They say what was stored before they write; what is stored afterwards is
read when the outermost change ends, in the same transaction, by whoever listens to
`featureflags.core.signals.segments_changed`. So a savepoint that was rolled back meanwhile leaves no
trace, and neither does what was undone.
"""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from django.db import transaction

from featureflags.core.signals import segments_changed
from featureflags.core.types import JSONValue
from users.models import User


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentState:
    """The row of a segment at one moment."""

    key: str
    name: str
    description: str
    is_active: bool
    rules: JSONValue
    """As they are stored, whether or not they are valid."""
    version: int

    def says_the_same(self, other: SegmentState) -> bool:
        """Whether nothing differs but the version, which every save raises."""
        about = (self.key, self.name, self.description, self.is_active)
        others = (other.key, other.name, other.description, other.is_active)
        return about == others and self.same_rules(other)

    def same_rules(self, other: SegmentState) -> bool:
        # As JSON text, True and 1 stay apart.
        mine, theirs = json.dumps(self.rules, sort_keys=True), other.rules
        return mine == json.dumps(theirs, sort_keys=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberState:
    """A membership at one moment."""

    kind: str
    reason: str
    expires_at: datetime.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """How many users enter and leave a segment; with `at_least` there may be more."""

    entering: int
    leaving: int
    at_least: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whoever:
    """Nobody is named: it is the user of the request at hand, or the system."""


WHOEVER_ASKS: Final = _Whoever()
Actor: TypeAlias = User | _Whoever | None
"""Who makes a change; None: the system."""

Place: TypeAlias = tuple[int, uuid.UUID]
"""A membership: the id of the segment and of the user."""


@dataclass(slots=True, kw_only=True)
class OpenChange:
    """A change that has not ended. Each `before` is what was stored when it was first touched."""

    actor: Actor = WHOEVER_ASKS
    note: str = ""
    source: str = ""
    """On which way it came: `admin`, `api`, or the name of a command."""
    restores: int | None = None
    """The entry of the history that is restored."""
    moved: dict[str, Moved] = field(default_factory=dict)
    """What is known already about segments, by key, so that nobody counts again."""
    segments: dict[int, SegmentState | None] = field(default_factory=dict)
    members: dict[Place, MemberState | None] = field(default_factory=dict)
    deleted_accounts: set[uuid.UUID] = field(default_factory=set)
    """Users who go with their memberships: nothing may point to them any more."""
    going: set[Place] = field(default_factory=set)
    """Memberships that are deleted together, and for which the version is raised already."""

    def saw_segment(self, pk: int, before: SegmentState | None) -> None:
        """A segment is about to be written; None: it is new."""
        self.segments.setdefault(pk, before)

    def saw_members(self, before: Mapping[Place, MemberState | None]) -> None:
        """Memberships are about to be written; None: there was none."""
        for place, state in before.items():
            self.members.setdefault(place, state)


_open: ContextVar[OpenChange | None] = ContextVar("featureflags_open_change", default=None)


@contextmanager
def segment_change(
    *,
    actor: Actor = WHOEVER_ASKS,
    note: str = "",
    source: str = "",
    restores: int | None = None,
    moved: Mapping[str, Moved] | None = None,
) -> Iterator[OpenChange]:
    """Make the writes within one change, and one transaction.

    Within another change it joins that one, and fills in what that one leaves open. Nothing is
    left of it when an exception passes through.
    """
    outer = _open.get()
    if outer is not None:
        _join(outer, actor=actor, note=note, source=source, restores=restores)
        outer.moved |= moved or {}
        yield outer
        return
    change = OpenChange(actor=actor, note=note, source=source, restores=restores)
    change.moved |= moved or {}
    token = _open.set(change)
    try:
        with transaction.atomic():
            yield change
            segments_changed.send(sender=OpenChange, change=change)
    finally:
        _open.reset(token)


def _join(outer: OpenChange, *, actor: Actor, note: str, source: str, restores: int | None) -> None:
    if isinstance(outer.actor, _Whoever):
        outer.actor = actor
    outer.note = outer.note or note
    outer.source = outer.source or source
    outer.restores = outer.restores if outer.restores is not None else restores
