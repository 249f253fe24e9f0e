"""Everything that is written to segments and members together is one changeset, in one transaction.

    with open_changeset(note="The autumn campaign", source="import_segments"):
        segment.save()
        SegmentMember.objects.bulk_create(members)

Models and managers open a changeset if none is open, so that every write belongs to one.
Before they write, they store in it what the database holds (`remember_segment`,
`remember_members`). When the outermost one closes, `featureflags.core.signals.changeset_closing` is
sent inside the transaction; its receiver reads what the database holds then. A savepoint that was
rolled back in between therefore leaves no trace.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from django.db import transaction

from featureflags.core.signals import changeset_closing
from featureflags.core.types import Account, AccountKey, JSONValue
from featureflags.kinds.snapshot import USER


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentState:
    """The row of a segment at one moment."""

    key: str
    name: str
    description: str
    is_active: bool
    rules: JSONValue
    """As they are stored, valid or not."""
    version: int
    kind: str = USER
    """Of the rows that are in it; it never changes."""
    tags: tuple[str, ...] = ()
    owner: str = ""
    """The key of a user; empty: nobody."""
    is_archived: bool = False
    salt: str = ""

    def says_the_same(self, other: SegmentState) -> bool:
        """True if nothing differs but the version, which every save raises."""
        about = replace(self, rules=None, version=0)
        return about == replace(other, rules=None, version=0) and self.same_rules(other)

    def same_rules(self, other: SegmentState) -> bool:
        """True if the rules and the salt of their percentages are the same."""
        if self.salt != other.salt:
            return False
        # As JSON text, True and 1 stay apart.
        mine, theirs = json.dumps(self.rules, sort_keys=True), other.rules
        return mine == json.dumps(theirs, sort_keys=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberState:
    """A membership at one moment."""

    kind: str
    reason: str
    expires_at: datetime.datetime | None
    starts_at: datetime.datetime | None = None
    """None: at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """How many users enter and leave a segment; with `at_least` there may be more."""

    entering: int
    leaving: int
    at_least: bool = False

    @property
    def count(self) -> int:
        """Users who move in either direction."""
        return self.entering + self.leaving


@dataclass(frozen=True, slots=True, kw_only=True)
class _CurrentUser:
    """The user of the current request; the system outside of a request."""


CURRENT_USER: Final = _CurrentUser()
Actor: TypeAlias = Account | _CurrentUser | None
"""Who makes a change; None: the system."""

Place: TypeAlias = tuple[int, AccountKey]
"""A membership: the id of the segment and the primary key of the user, or the key of a row of another
kind as text."""


@dataclass(slots=True, kw_only=True)
class Changeset:
    """What is written together. `segments` and `members` hold what was stored before."""

    actor: Actor = CURRENT_USER
    note: str = ""
    source: str = ""
    """Where it comes from: `admin`, `api`, or the name of a command."""
    restores: int | None = None
    """The id of the history entry that is restored."""
    approved_by: Account | None = None
    emergencies: set[str] = field(default_factory=set)
    """Keys of segments whose change needs an approval, and is made without."""
    moved: dict[str, Moved] = field(default_factory=dict)
    """Numbers that are known already, by segment key, so that they are not counted again."""
    segments: dict[int, SegmentState | None] = field(default_factory=dict)
    members: dict[Place, MemberState | None] = field(default_factory=dict)
    deleted_rows: set[Place] = field(default_factory=set)
    """Memberships of users, and rows of other kinds, who are deleted: no new row may name them."""
    being_deleted: set[Place] = field(default_factory=set)
    """Memberships that one call deletes, for which the ruleset version is raised already."""

    def fill_in(self, inner: Changeset) -> None:
        """Take from a changeset inside this one what this one leaves open."""
        if isinstance(self.actor, _CurrentUser):
            self.actor = inner.actor
        self.note = self.note or inner.note
        self.source = self.source or inner.source
        self.restores = self.restores if self.restores is not None else inner.restores
        self.moved |= inner.moved
        self.approved_by = self.approved_by or inner.approved_by
        self.emergencies |= inner.emergencies

    def remember_segment(self, pk: int, before: SegmentState | None) -> None:
        """Call before a segment is written. None: it is new. The first call for an id counts."""
        self.segments.setdefault(pk, before)

    def remember_members(self, before: Mapping[Place, MemberState | None]) -> None:
        """Call before memberships are written. None: there was none."""
        for place, state in before.items():
            self.members.setdefault(place, state)


_open: ContextVar[Changeset | None] = ContextVar("featureflags_changeset", default=None)


@contextmanager
def open_changeset(
    *,
    actor: Actor = CURRENT_USER,
    note: str = "",
    source: str = "",
    restores: int | None = None,
    moved: Mapping[str, Moved] | None = None,
    approved_by: Account | None = None,
    emergencies: Iterable[str] = (),
) -> Iterator[Changeset]:
    """Make the writes inside one changeset and one transaction.

    Inside another changeset it joins that one and fills in what that one leaves open. An exception
    that leaves it rolls everything back.
    """
    changeset = Changeset(
        actor=actor,
        note=note,
        source=source,
        restores=restores,
        moved=dict(moved or {}),
        approved_by=approved_by,
        emergencies=set(emergencies),
    )
    outer = _open.get()
    if outer is not None:
        outer.fill_in(changeset)
        yield outer
        return
    token = _open.set(changeset)
    try:
        with transaction.atomic():
            yield changeset
            changeset_closing.send(sender=Changeset, changeset=changeset)
    finally:
        _open.reset(token)
