"""The users in a segment, page by page in the order of their titles (e-mail addresses), and all of them.

Every page costs the same: it begins after an address, not after a number of rows.
Hidden SQL: one statement for each batch of users, and one for memberships that were made lately.
Where SQL cannot express a rule, the users who can be in are read, and judged in Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, TypeAlias

from django.db.models import CharField, F, Q, QuerySet, TextField, Value
from django.db.models.functions import Concat

from featureflags.audience.earlier_segments import EarlierSegment, without_new_members
from featureflags.audience.sql.bounds import Bounds, Condition, all_of, negation, to_q
from featureflags.audience.sql.clauses import key_condition
from featureflags.audience.sql.compiler import SegmentCompiler, kind_of_segment
from featureflags.audience.sql.statement_timeout import TimeIsUp, TimeLimit
from featureflags.contexts.attributes import attributes_of
from featureflags.core.types import MICROSECONDS_PER_DAY, Attributes
from featureflags.kinds.paths import field_of
from featureflags.segments.ruleset import Ruleset

BATCH: Final = 500
"""Users read at once where Python judges them."""

FEW: Final = 1_000
"""Up to this many members are found first and sorted then. To find them in the order of addresses
the database would look at every user in turn, as it does not know how rare members are."""


class How(StrEnum):
    """Why a user is in a segment."""

    ANY = ""
    BY_RULES = "rules"
    BY_NAME = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceFilter:
    """The members that a list shows."""

    search: str = ""
    """The beginning of a title, a part of another search field, or a whole key."""
    how: How = How.ANY
    entered_days: int = 0
    """Only users who entered within this many days; 0: at any time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One user in the segment, and why."""

    user: Any
    rule: int | None
    """The number of the first rule that matches, from 1; None: included by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some members, in the order of their addresses."""

    members: tuple[Member, ...]
    has_previous: bool
    has_next: bool
    is_cut: bool = False
    """Time was up: there may be others, on this page and after it."""


_Place: TypeAlias = tuple[Any, Any]
"""Where a row is in the list: its title, and the value of its key. Titles may be shared."""


class SegmentAudience:
    """The users (or rows of another kind) in one segment at one moment.

    `now`: in µs. `expected`: how many there were when they were last counted. A segment that
    `ruleset` does not hold has no users.
    """

    def __init__(
        self,
        ruleset: Ruleset,
        key: str,
        *,
        now: int,
        wanted: AudienceFilter,
        expected: int | None = None,
    ) -> None:
        self._kind = kind_of_segment(ruleset, key)
        title = field_of(self._kind.model, self._kind.title)
        # Rows without a title have a key.
        self._title = self._kind.key if title.null else self._kind.title
        self._is_text = isinstance(field_of(self._kind.model, self._title), CharField | TextField)
        self._is_unique = title.null or title.unique
        self._ruleset = ruleset
        self._key = key
        self._now = now
        self._wanted = wanted
        self._are_few = expected is not None and expected <= FEW

    def page(
        self,
        size: int,
        *,
        after: str | None = None,
        before: str | None = None,
        seconds: float | None = None,
    ) -> Page:
        """The members after the user `after`, or before the user `before`, given by their keys.

        Within `seconds`, if they are given. An unknown key counts as none.
        """
        limit = None if seconds is None else TimeLimit(self._kind.rows().db, seconds)
        users = self._candidates
        behind = self._place_of(after)
        ahead = None if behind else self._place_of(before)
        if behind:
            users = users.filter(self._beyond(behind, "gt"))
        elif ahead:
            users = users.filter(self._beyond(ahead, "lt"))
        found: list[Member] = []
        is_cut = False
        try:
            for member in self._members(users, size + 1, backwards=bool(ahead), limit=limit):
                found.append(member)
                if len(found) > size:
                    break
        except TimeIsUp:
            is_cut = True
        members, has_more = found[:size], len(found) > size
        return Page(
            members=tuple(reversed(members) if ahead else members),
            has_previous=has_more if ahead else bool(behind),
            has_next=True if ahead else has_more,
            is_cut=is_cut,
        )

    def everyone(self, size: int = 2_000) -> Iterator[Member]:
        """All members, one after another, read in batches of this size."""
        return self._members(self._candidates, size, backwards=False, limit=None)

    def _members(
        self, users: QuerySet[Any], size: int, *, backwards: bool, limit: TimeLimit | None
    ) -> Iterator[Member]:
        """Raises TimeIsUp."""
        size = size if self._is_exact else max(size, BATCH)
        # An expression that no index holds.
        unindexed = self._are_few and self._is_text
        title = Concat(F(self._title), Value("")) if unindexed else F(self._title)
        columns = [title] if self._is_unique else [title, F(self._kind.key)]
        ordered = users.order_by(*(each.desc() if backwards else each.asc() for each in columns))
        while True:
            batch = self._read(ordered[:size], limit)
            for user in batch:
                member = self._judged(user)
                if member is not None:
                    yield member
            if len(batch) < size:
                return
            if limit is not None and limit.is_over():
                raise TimeIsUp
            last = self._place(batch[-1])
            ordered = ordered.filter(self._beyond(last, "lt" if backwards else "gt"))

    def _judged(self, user: Any) -> Member | None:
        attributes = attributes_of(user, self._now)
        segment = self._ruleset.segment(self._key)
        if segment is None or not self._has_entered(user):
            return None
        membership = segment.membership(attributes, now=self._now)
        if membership is not None:
            return Member(user=user, rule=None) if membership else None
        within = self._within(attributes) if segment.names else frozenset()
        for number, rule in enumerate(segment.rules, start=1):
            if rule.holds(attributes, within, self._now):
                return Member(user=user, rule=number)
        return None

    def _within(self, attributes: Attributes) -> frozenset[str]:
        return self._ruleset.match(attributes, now=self._now, kind=self._kind.name)

    def _has_entered(self, user: Any) -> bool:
        return self._past is None or self._past.was_outside(user)

    @cached_property
    def _inside(self) -> Bounds:
        return SegmentCompiler(self._ruleset, now=self._now).segment(self._key)

    @cached_property
    def _past(self) -> EarlierSegment | None:
        """The segment as it was, if the filter wants only users who were not in it then."""
        if not self._wanted.entered_days:
            return None
        since = self._now - self._wanted.entered_days * MICROSECONDS_PER_DAY
        return EarlierSegment(
            ruleset=without_new_members(self._ruleset, self._key, since),
            key=self._key,
            since=since,
        )

    @cached_property
    def _is_exact(self) -> bool:
        """True if SQL finds exactly the wanted users."""
        return self._inside.exact and (self._past is None or self._past.inside.exact)

    @property
    def _candidates(self) -> QuerySet[Any]:
        """The users who can be wanted."""
        wanted = [self._inside.upper]
        if self._wanted.how is How.BY_NAME:
            wanted.append(self._named())
        elif self._wanted.how is How.BY_RULES:
            wanted.append(negation(self._named()))
        if self._past is not None:
            wanted.append(self._past.outside(self._inside))
        search = self._wanted.search.strip()
        found = self._kind.searched(search) if search else Q()
        return self._kind.rows().filter(to_q(all_of(wanted)), found)

    def _beyond(self, place: _Place, way: str) -> Q:
        """The rows after (`gt`) or before (`lt`) a place."""
        title, key = place
        found = Q(**{f"{self._title}__{way}": title})
        if not self._is_unique:
            found |= Q(**{self._title: title, f"{self._kind.key}__{way}": key})
        return found

    def _place_of(self, key: str | None) -> _Place | None:
        value = self._kind.parse_key(key)
        if value is None:
            return None
        rows = self._kind.rows().filter(**{self._kind.key: value})
        return rows.values_list(self._title, self._kind.key).first()

    def _place(self, user: Any) -> Any:
        """What the next batch begins after: the title's column, which the snapshot may not hold."""
        known = getattr(user, self._title, None)
        return (
            self._place_of(user.key) if known is None else (known, self._kind.parse_key(user.key))
        )

    def _read(self, rows: QuerySet[Any], limit: TimeLimit | None) -> list[Any]:
        """Raises TimeIsUp."""
        if limit is None:
            return self._kind.snapshots(rows)
        with limit.statements():
            return self._kind.snapshots(rows)

    def _named(self) -> Condition:
        """The users who are included by name now."""
        definition = self._ruleset.definitions.get(self._key)
        keys = [] if definition is None else definition.current(definition.included, self._now)
        return key_condition(F(self._kind.key), keys, self._kind)
