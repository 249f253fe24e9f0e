"""Who is in a segment, page by page in the order of e-mail addresses, for lists and exports.

A page costs the same wherever it lies: it begins behind an address, not after a number of rows.
Hidden SQL: one statement for each batch of users, and one for members who were added lately.
Where SQL cannot say a rule, those who can be in are read, and judged in Python.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Final

from django.db.models import F, Q, Value
from django.db.models.functions import Concat

from featureflags.audience.sql.bounds import (
    Bounds,
    Condition,
    all_of,
    any_of,
    condition,
    negation,
    to_q,
)
from featureflags.audience.sql.clauses import key_condition
from featureflags.audience.sql.compiler import SegmentCompiler
from featureflags.audience.sql.statement_timeout import TimeIsUp, TimeLimit
from featureflags.contexts.attributes import attributes_of
from featureflags.core.types import MICROSECONDS_PER_DAY
from featureflags.core.uncached import fresh_rows
from featureflags.models import SegmentMember
from featureflags.segments.definitions import SegmentDefinition
from featureflags.segments.ruleset import Ruleset
from users.models import User
from users.querysets import UserQuerySet
from users.selectors import snapshots
from users.snapshots import UserSnapshot
from users.times import to_datetime

BATCH: Final = 500
"""Users read at once where Python has to judge them."""

FEW: Final = 1_000
"""So many members are found first, and sorted then. To look for them in the order of addresses
takes a look at each user, one by one, and databases do not know how rare they are."""


class How(StrEnum):
    """On which way somebody is in a segment."""

    ANY = ""
    BY_RULES = "rules"
    BY_NAME = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which members a list shows."""

    search: str = ""
    """The beginning of an address, a part of a name, or a whole key."""
    how: How = How.ANY
    entered_days: int = 0
    """Only who entered within so many days, see `Roster.entered`; 0: whenever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One user who is in the segment, and on which way."""

    user: UserSnapshot
    rule: int | None
    """The number of the first rule that matches, from 1; None: included by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some members, in the order of their addresses."""

    members: tuple[Member, ...]
    has_previous: bool
    has_next: bool
    is_cut: bool = False
    """Time was up: there may be others here, and further on."""


class Roster:
    """The members of one segment at one moment.

    `now` is in µs. A segment that `ruleset` does not hold has no members. `expected` is how many
    there were when they were last counted.
    """

    def __init__(
        self,
        ruleset: Ruleset,
        key: str,
        *,
        now: int,
        wanted: Wanted,
        expected: int | None = None,
    ) -> None:
        self._ruleset = ruleset
        self._key = key
        self._now = now
        self._wanted = wanted
        self._are_few = expected is not None and expected <= FEW

    def page(
        self,
        size: int,
        *,
        after: uuid.UUID | None = None,
        before: uuid.UUID | None = None,
        seconds: float | None = None,
    ) -> Page:
        """The members behind the user `after`, or ahead of the user `before`, by their keys.

        Within `seconds`, if they are given. A key of nobody counts as none.
        """
        limit = None if seconds is None else TimeLimit(User.objects.db, seconds)
        users = self._candidates
        behind = _address(after)
        ahead = None if behind else _address(before)
        if behind:
            users = users.filter(email__gt=behind)
        elif ahead:
            users = users.filter(email__lt=ahead)
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
        self, users: UserQuerySet[User], size: int, *, backwards: bool, limit: TimeLimit | None
    ) -> Iterator[Member]:
        """Raises TimeIsUp."""
        size = size if self._is_exact else max(size, BATCH)
        # An expression that no index holds.
        address = Concat(F("email"), Value("")) if self._are_few else F("email")
        ordered = users.order_by(address.desc() if backwards else address.asc())
        while True:
            batch = _read(ordered[:size], limit)
            for user in batch:
                member = self._judged(user)
                if member is not None:
                    yield member
            if len(batch) < size:
                return
            if limit is not None and limit.is_over():
                raise TimeIsUp
            last = batch[-1].email
            passed = Q(email__lt=last) if backwards else Q(email__gt=last)
            ordered = ordered.filter(passed)

    def _judged(self, user: UserSnapshot) -> Member | None:
        attributes = attributes_of(user, self._now)
        segment = self._ruleset.segment(self._key)
        if segment is None or not self._has_entered(user):
            return None
        membership = segment.membership(attributes, now=self._now)
        if membership is not None:
            return Member(user=user, rule=None) if membership else None
        within = self._ruleset.match(attributes, now=self._now) if segment.names else frozenset()
        for number, rule in enumerate(segment.rules, start=1):
            if not rule.dead and all(clause.held(attributes, within) for clause in rule.clauses):
                return Member(user=user, rule=number)
        return None

    def _has_entered(self, user: UserSnapshot) -> bool:
        return self._past is None or self._past.was_outside(user)

    @cached_property
    def _inside(self) -> Bounds:
        return SegmentCompiler(self._ruleset, now=self._now).segment(self._key)

    @cached_property
    def _past(self) -> _Past | None:
        """The segment as it was, if only those are wanted who were not in it then."""
        if not self._wanted.entered_days:
            return None
        since = self._now - self._wanted.entered_days * MICROSECONDS_PER_DAY
        return _Past(
            ruleset=_without_new_members(self._ruleset, self._key, since),
            key=self._key,
            since=since,
        )

    @cached_property
    def _is_exact(self) -> bool:
        """Whether SQL finds those who are wanted, and no others."""
        return self._inside.exact and (self._past is None or self._past.inside.exact)

    @property
    def _candidates(self) -> UserQuerySet[User]:
        """Those who can be wanted."""
        wanted = [self._inside.upper]
        if self._wanted.how is How.BY_NAME:
            wanted.append(self._named())
        elif self._wanted.how is How.BY_RULES:
            wanted.append(negation(self._named()))
        if self._past is not None:
            wanted.append(self._past.outside(self._inside))
        everybody: UserQuerySet[User] = User.objects.all()
        return everybody.filter(to_q(all_of(wanted)), _searched(self._wanted.search))

    def _named(self) -> Condition:
        """Those who are included by name now."""
        definition = self._ruleset.definitions.get(self._key)
        included = {} if definition is None else definition.included
        keys = [key for key, until in included.items() if until is None or self._now < until]
        return key_condition(F("pk"), keys)


class _Past:
    """A segment at an earlier instant (µs), with today's users, rules and attributes.

    Whoever had no account then was outside.
    """

    def __init__(self, *, ruleset: Ruleset, key: str, since: int) -> None:
        self._ruleset = ruleset
        self._key = key
        self._since = since
        self.inside = SegmentCompiler(ruleset, now=since).segment(key)

    def outside(self, now_inside: Bounds) -> Condition:
        """Those who can have been outside, of those who can be inside now."""
        created = condition(Q(created_at__gte=to_datetime(self._since)))
        if now_inside.exact and now_inside == self.inside:
            # No clock and no member makes a difference. An index finds these.
            return created
        return any_of([created, negation(self.inside.lower)])

    def was_outside(self, user: UserSnapshot) -> bool:
        if user.created_at >= self._since:
            return True
        attributes = attributes_of(user, self._since)
        return not self._ruleset.matches(self._key, attributes, now=self._since)


def _without_new_members(ruleset: Ruleset, key: str, since: int) -> Ruleset:
    """The same rules without the memberships that were made after an instant (µs): one query."""
    if key not in ruleset.definitions:
        return ruleset
    keys = [segment.definition.key for segment in ruleset.resting_on(key)]
    rows = SegmentMember.objects.filter(segment__key__in=keys, created_at__gte=to_datetime(since))
    new: dict[str, set[str]] = {}
    with fresh_rows():
        for segment_key, user in rows.values_list("segment__key", "user_id"):
            new.setdefault(segment_key, set()).add(str(user))
    if not new:
        return ruleset
    definitions = {
        definition.key: _without(definition, new.get(definition.key, set()))
        for definition in ruleset.definitions.values()
    }
    return ruleset.evolve(definitions.values(), version=ruleset.version)


def _without(definition: SegmentDefinition, users: set[str]) -> SegmentDefinition:
    if not users:
        return definition
    return replace(
        definition,
        included={key: end for key, end in definition.included.items() if key not in users},
        excluded={key: end for key, end in definition.excluded.items() if key not in users},
    )


def _address(key: uuid.UUID | None) -> str | None:
    if key is None:
        return None
    found: str | None = User.objects.filter(pk=key).values_list("email", flat=True).first()
    return found


def _searched(text: str) -> Q:
    text = text.strip()
    if not text:
        return Q()
    try:
        return Q(pk=uuid.UUID(text))
    except ValueError:
        return Q(email__startswith=text.lower()) | Q(name__icontains=text)


def _read(users: UserQuerySet[User], limit: TimeLimit | None) -> list[UserSnapshot]:
    """Raises TimeIsUp."""
    if limit is None:
        return snapshots(users)
    with limit.statements():
        return snapshots(users)
