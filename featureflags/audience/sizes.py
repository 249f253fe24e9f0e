"""How many users are in each segment, or enter and leave: one pass over the users for them all.

Hidden SQL: one statement for all questions. For each one that SQL cannot say exactly, those whom
it leaves in doubt are read as well, in batches, unless bounds are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from featureflags.audience.querysets import batches, in_doubt
from featureflags.audience.sql.bounds import Bounds, Condition, both, inverse
from featureflags.audience.sql.compiler import SegmentCompiler
from featureflags.audience.sql.counting import Columns, count_in_one_pass
from featureflags.audience.sql.operands import Inline, Source
from featureflags.cache.compiled_rules import current_ruleset
from featureflags.contexts.attributes import attributes_of
from featureflags.core.types import Attributes
from featureflags.segments.ruleset import Ruleset
from users.models import User
from users.querysets import UserQuerySet
from users.times import now_in_microseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSize:
    """How many users are in a segment: at least and at most; the same number if it is known."""

    key: str
    at_least: int
    at_most: int
    why_inexact: tuple[str, ...] = ()
    """What SQL could not say, whether or not Python has finished the count."""

    @property
    def count(self) -> int | None:
        """The number of members, or None if it lies between two bounds."""
        return self.at_least if self.at_least == self.at_most else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSizes:
    """The sizes of some segments at one moment, and the number of all users."""

    users: int
    sizes: tuple[SegmentSize, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """How many users enter and leave a segment when its rules change."""

    key: str
    entering: int
    leaving: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A condition on users, for a source of expressions, and Python's way to the same answer."""

    bounds: Callable[[Source], Bounds]
    judge: Callable[[Attributes], bool]


def segment_sizes(
    *,
    now: int | None = None,
    ruleset: Ruleset | None = None,
    users: UserQuerySet[User] | None = None,
    keys: Collection[str] | None = None,
    finish: bool = True,
) -> SegmentSizes:
    """The size of every segment, by default of the rules in force, among all users, now (µs).

    `keys` are those of some segments alone. With `finish=False` nothing but the one statement is run, and what SQL cannot say is bounds.
    """
    now = now_in_microseconds() if now is None else now
    ruleset = current_ruleset().ruleset if ruleset is None else ruleset
    users = User.objects.all() if users is None else users
    compilers = _Compilers(now)
    asked = sorted(ruleset.definitions if keys is None else keys)
    questions = [_is_in(ruleset, key, compilers) for key in asked]
    total, answers = _count(users, questions, now=now, finish=finish)
    sizes = (
        SegmentSize(key=key, at_least=least, at_most=most, why_inexact=why)
        for key, (least, most, why) in zip(asked, answers, strict=True)
    )
    return SegmentSizes(users=total, sizes=tuple(sizes))


def movements(
    before: Ruleset, after: Ruleset, keys: Collection[str], *, now: int
) -> list[Movement]:
    """How many users enter and leave these segments between two rulesets, at one moment (µs)."""
    compilers = _Compilers(now)
    questions = [
        question
        for key in keys
        for question in (
            _moves(before, after, key, compilers),
            _moves(after, before, key, compilers),
        )
    ]
    _, answers = _count(User.objects.all(), questions, now=now, finish=True)
    found = [least for least, _, _ in answers]
    return [
        Movement(key=key, entering=entering, leaving=leaving)
        for key, entering, leaving in zip(keys, found[::2], found[1::2], strict=True)
    ]


class _Compilers:
    """One compiler for each ruleset and source, so that each segment is compiled once."""

    def __init__(self, now: int) -> None:
        self.now = now
        self._made: dict[tuple[int, int], SegmentCompiler] = {}
        self._kept: list[object] = []

    def segment(self, ruleset: Ruleset, key: str, source: Source) -> Bounds:
        place = (id(ruleset), id(source))
        if place not in self._made:
            # What an id stands for must outlive it.
            self._kept += [ruleset, source]
            self._made[place] = SegmentCompiler(ruleset, now=self.now, source=source)
        return self._made[place].segment(key)


def _is_in(ruleset: Ruleset, key: str, compilers: _Compilers) -> _Question:
    return _Question(
        bounds=lambda source: compilers.segment(ruleset, key, source),
        judge=lambda attributes: ruleset.matches(key, attributes, now=compilers.now),
    )


def _moves(before: Ruleset, after: Ruleset, key: str, compilers: _Compilers) -> _Question:
    """Who is not in the segment before, and is in it after."""
    old, new = _is_in(before, key, compilers), _is_in(after, key, compilers)
    return _Question(
        bounds=lambda source: both([new.bounds(source), inverse(old.bounds(source))]),
        judge=lambda attributes: new.judge(attributes) and not old.judge(attributes),
    )


Answer = tuple[int, int, tuple[str, ...]]
"""At least, at most, and why SQL alone could not tell."""


def _count(
    users: UserQuerySet[User], questions: Sequence[_Question], *, now: int, finish: bool
) -> tuple[int, list[Answer]]:
    bounds: list[Bounds] = []

    def conditions(columns: Columns) -> list[Condition]:
        bounds[:] = [question.bounds(columns) for question in questions]
        return [one for found in bounds for one in _parts(found)]

    total, *counted = count_in_one_pass(users, conditions)
    counts, answers = iter(counted), []
    for question, found in zip(questions, bounds, strict=True):
        numbers = [next(counts) for _ in _parts(found)]
        least, most = numbers[0], numbers[-1]
        if finish and least != most:
            least = most = least + _judged(users, question, now)
        answers.append((least, most, found.reasons))
    return total, answers


def _parts(bounds: Bounds) -> list[Condition]:
    return [bounds.lower] if bounds.exact else [bounds.lower, bounds.upper]


def _judged(users: UserQuerySet[User], question: _Question, now: int) -> int:
    """How many of those whom SQL leaves in doubt Python finds."""
    doubted = users.filter(in_doubt(question.bounds(Inline())))
    return sum(
        question.judge(attributes_of(user, now)) for batch in batches(doubted) for user in batch
    )
