"""What a change of a segment would do, before it is saved: who matches, who enters, who leaves.

Hidden SQL: one statement counts (two, where metadata hold lists), and one each reads five users
of those who match, enter and leave. Users whom SQL leaves in doubt are read in batches and judged
in Python. All of it keeps to a time limit, past which numbers are lower bounds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from featureflags.audience.querysets import BATCH, batches
from featureflags.audience.sql.bounds import Bounds, Condition, all_of, any_of, negation, to_q
from featureflags.audience.sql.compiler import SegmentCompiler
from featureflags.audience.sql.counting import count_in_one_pass
from featureflags.audience.sql.operands import Inline, Source
from featureflags.audience.sql.statement_timeout import TimeIsUp, TimeLimit
from featureflags.cache.compiled_rules import current_ruleset
from featureflags.contexts.attributes import attributes_of
from featureflags.core.conf import app_settings
from featureflags.core.uncached import fresh_rows
from featureflags.models import SegmentMember
from featureflags.segments.definitions import SegmentDefinition
from featureflags.segments.parsing import parse_rules
from featureflags.segments.ruleset import Ruleset
from users.models import User
from users.selectors import snapshots_by_key
from users.snapshots import UserSnapshot
from users.times import now_in_microseconds, to_microseconds

SAMPLES: Final = 5
"""How many users are shown of those who match, enter and leave."""

COUNTING_SHARE: Final = 0.75
"""Of the time, after which the count looks at no more users."""

PROBED: Final = 1_000
"""How many users are looked for of each part if the count was cut off and knows nothing."""

SAMPLE_SECONDS: Final = 0.15
"""For each sample, however late it is: those who match are mostly found at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleUser:
    """A user as an example. Whether a page may show more than the key is for the page to ask."""

    key: str
    email: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some of the users: how many at least, whether there are no more, and a few of them."""

    at_least: int
    is_exact: bool
    samples: tuple[SampleUser, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """What one segment would be, beside what is in force."""

    key: str
    users: Part
    """All users there are, without samples."""
    matching: Part
    entering: Part
    leaving: Part

    @property
    def is_exact(self) -> bool:
        """Whether all numbers are known; if not, time was up and each is a lower bound."""
        return self.users.is_exact

    @property
    def share(self) -> float | None:
        """Of all users, from 0 to 1; None where it is not known."""
        if not self.is_exact:
            return None
        return self.matching.at_least / self.users.at_least if self.users.at_least else 0.0

    @property
    def moved(self) -> int:
        """How many users enter or leave, at least."""
        return self.entering.at_least + self.leaving.at_least


def unsaved_segment(key: str, raw_rules: object, *, is_active: bool = True) -> SegmentDefinition:
    """The segment `key` as it would be with these rules and the members that it has.

    Raises InvalidDefinition for rules that are none. Whether they may be saved is for
    `validation` to say. An inactive segment has no members.
    """
    rules = parse_rules(raw_rules)
    if not is_active:
        return SegmentDefinition(key=key)
    included, excluded = _stored_members(key)
    return SegmentDefinition(key=key, rules=rules, included=included, excluded=excluded)


def impact_of(
    after: SegmentDefinition,
    *,
    before: Ruleset | None = None,
    now: int | None = None,
    seconds: float | None = None,
) -> Impact:
    """What changes if this definition takes the place of the one with its key.

    `before`: what it is compared with, by default the rules in force. `now` is in µs. `seconds`
    is the time limit, by default the setting `impact_seconds`. To see a segment go, give a
    definition with nothing but a key.
    """
    seconds = app_settings().impact_seconds if seconds is None else seconds
    change = _Change.to(after, before, now)
    return _Measured(change, TimeLimit(User.objects.db, seconds)).impact()


def impact_on(
    after: SegmentDefinition,
    user_keys: Collection[str],
    *,
    before: Ruleset | None = None,
    now: int | None = None,
) -> Impact:
    """The same among these users alone, exactly: for a change that moves nobody else, as one of
    memberships does. One query for each `membership.BATCH` of them."""
    change = _Change.to(after, before, now)
    measured = _Measured(change, TimeLimit(User.objects.db, 0))
    keys = sorted(set(user_keys))
    for start in range(0, len(keys), BATCH):
        measured.look_at(snapshots_by_key(keys[start : start + BATCH]).values())
    return measured.result(is_exact=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Conditions:
    """Three conditions on users of whom SQL is sure, and those of whom it is not."""

    matching: Condition
    entering: Condition
    leaving: Condition
    in_doubt: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """One segment in two rulesets, at one moment."""

    key: str
    before: Ruleset
    after: Ruleset
    now: int

    @classmethod
    def to(cls, after: SegmentDefinition, before: Ruleset | None, now: int | None) -> _Change:
        before = current_ruleset().ruleset if before is None else before
        definitions = {**before.definitions, after.key: after}
        return cls(
            key=after.key,
            before=before,
            after=before.evolve(definitions.values(), version=before.version),
            now=now_in_microseconds() if now is None else now,
        )

    def conditions(self, source: Source) -> _Conditions:
        old, new = (
            SegmentCompiler(ruleset, now=self.now, source=source).segment(self.key)
            for ruleset in (self.before, self.after)
        )
        in_doubt = any_of([_doubt(old), _doubt(new)])
        # Of whom there is no doubt, both bounds say the same.
        is_sure = negation(in_doubt)
        return _Conditions(
            matching=all_of([new.lower, is_sure]),
            entering=all_of([new.lower, negation(old.lower), is_sure]),
            leaving=all_of([old.lower, negation(new.lower), is_sure]),
            in_doubt=in_doubt,
        )

    def judge(self, user: UserSnapshot) -> tuple[bool, bool]:
        """Whether a user is in it before, and after."""
        attributes = attributes_of(user, self.now)
        was_in = self.before.matches(self.key, attributes, now=self.now)
        return was_in, self.after.matches(self.key, attributes, now=self.now)


@dataclass(slots=True)
class _Tally:
    """What is known so far of one part."""

    number: int = 0
    samples: list[SampleUser] = field(default_factory=list)

    def add(self, user: UserSnapshot) -> None:
        self.number += 1
        self.show(SampleUser(key=user.key, email=user.email, name=user.name))

    def show(self, user: SampleUser) -> None:
        if len(self.samples) < SAMPLES:
            self.samples.append(user)

    def part(self, *, is_exact: bool) -> Part:
        return Part(at_least=self.number, is_exact=is_exact, samples=tuple(self.samples))


class _Measured:
    """One change, measured within a time limit."""

    def __init__(self, change: _Change, limit: TimeLimit) -> None:
        self._change = change
        self._limit = limit
        self._users = 0
        self._matching, self._entering, self._leaving = _Tally(), _Tally(), _Tally()

    def impact(self) -> Impact:
        inline = self._change.conditions(Inline())
        is_exact = self._count_in_sql() and self._judge(inline.in_doubt)
        self._read_samples(self._entering, inline.entering, is_exact)
        self._read_samples(self._leaving, inline.leaving, is_exact)
        if is_exact and self._entering.number == self._matching.number:
            self._matching.samples = self._entering.samples
        else:
            self._read_samples(self._matching, inline.matching, is_exact)
            self._matching.number = max(self._matching.number, self._entering.number)
        return self.result(is_exact=is_exact)

    def look_at(self, users: Iterable[UserSnapshot]) -> None:
        """Add these users, each judged by itself."""
        for user in users:
            self._users += 1
            self._add(user)

    def result(self, *, is_exact: bool) -> Impact:
        """What is known so far."""
        return Impact(
            key=self._change.key,
            users=Part(at_least=self._users, is_exact=is_exact),
            matching=self._matching.part(is_exact=is_exact),
            entering=self._entering.part(is_exact=is_exact),
            leaving=self._leaving.part(is_exact=is_exact),
        )

    def _count_in_sql(self) -> bool:
        """Count those of whom SQL is sure; whether all users were looked at."""

        def conditions(source: Source) -> list[Condition]:
            built = self._change.conditions(source)
            return [built.matching, built.entering, built.leaving]

        users = User.objects.filter(self._limit.in_time(COUNTING_SHARE))
        try:
            with self._limit.statements():
                counts = count_in_one_pass(users, conditions)
        except TimeIsUp:
            return False
        self._users, self._matching.number, self._entering.number, self._leaving.number = counts
        return not self._limit.is_over(COUNTING_SHARE)

    def _judge(self, in_doubt: Condition) -> bool:
        """Count and show those whom Python finds in or out; whether it got to the end."""
        if in_doubt is False:
            return True
        found = batches(User.objects.filter(to_q(in_doubt)))
        try:
            while True:
                with self._limit.statements():
                    batch = next(found, None)
                if batch is None:
                    return True
                if self._limit.is_over():
                    return False
                for user in batch:
                    self._add(user)
        except TimeIsUp:
            return False

    def _add(self, user: UserSnapshot) -> None:
        was_in, is_in = self._change.judge(user)
        if is_in:
            self._matching.add(user)
        if is_in and not was_in:
            self._entering.add(user)
        if was_in and not is_in:
            self._leaving.add(user)

    def _read_samples(self, tally: _Tally, sure: Condition, is_exact: bool) -> None:
        """Fill up with users of whom SQL is sure. Nobody waits for them when time is up."""
        wanted = SAMPLES - len(tally.samples)
        if sure is False or wanted == 0 or (is_exact and tally.number == len(tally.samples)):
            return
        was_cut_off = not is_exact and tally.number == 0
        wanted = PROBED if was_cut_off else wanted
        rows = User.objects.filter(to_q(sure)).order_by().values_list("pk", "email", "name")
        try:
            with self._limit.statements(at_least=SAMPLE_SECONDS):
                found = list(rows[:wanted])
        except TimeIsUp:
            return
        if was_cut_off:
            tally.number = len(found)
        for key, email, name in found:
            tally.show(SampleUser(key=str(key), email=email, name=name))


def _doubt(bounds: Bounds) -> Condition:
    """Those of whom SQL cannot say whether they are in."""
    return False if bounds.exact else all_of([bounds.upper, negation(bounds.lower)])


def _stored_members(key: str) -> tuple[Mapping[str, int | None], Mapping[str, int | None]]:
    """Who is included and excluded by name, and until when (µs): one query, never from a cache."""
    included: dict[str, int | None] = {}
    excluded: dict[str, int | None] = {}
    rows = SegmentMember.objects.filter(segment__key=key).order_by()
    with fresh_rows():
        for user, kind, ends in rows.values_list("user_id", "kind", "expires_at"):
            side = included if kind == SegmentMember.Kind.INCLUDE else excluded
            side[str(user)] = None if ends is None else to_microseconds(ends)
    return included, excluded
