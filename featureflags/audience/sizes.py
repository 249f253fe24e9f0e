"""How many users are in each segment, or enter and leave it: one pass over the users for all.

Hidden SQL: one statement for all segments. Where SQL cannot decide for some users, they are read in
batches and judged in Python, unless bounds are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from featureflags.audience.querysets import batches, in_doubt
from featureflags.audience.sql.bounds import Bounds, Condition, both, inverse
from featureflags.audience.sql.compiler import SegmentCompiler
from featureflags.audience.sql.counting import Columns, count_in_one_pass
from featureflags.audience.sql.operands import Inline, Source
from featureflags.audience.sql.statement_timeout import TimeIsUp, TimeLimit
from featureflags.cache.compiled_rules import current_ruleset
from featureflags.contexts.attributes import attributes_of
from featureflags.core.times import now_in_microseconds
from featureflags.core.types import Attributes
from featureflags.kinds.registry import user_kind
from featureflags.models.changesets import Moved
from featureflags.segments.ruleset import Ruleset


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSize:
    """At least and at most how many users are in a segment; the same number if it is known."""

    key: str
    at_least: int
    at_most: int
    why_inexact: tuple[str, ...] = ()
    """What SQL cannot express, whether or not Python has finished the count."""

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
class _Question:
    """A condition on users in SQL, and the same condition in Python."""

    bounds: Callable[[Source], Bounds]
    judge: Callable[[Attributes], bool]


def segment_sizes(
    *,
    now: int | None = None,
    ruleset: Ruleset | None = None,
    users: QuerySet[Any] | None = None,
    keys: Collection[str] | None = None,
    finish: bool = True,
) -> SegmentSizes:
    """The sizes of the segments `keys` (None: all) at `now` (µs).

    By default of the rules in force, among all users, now. With `finish=False` only the one
    statement is run, and a size may lie between two bounds.
    """
    now = now_in_microseconds() if now is None else now
    ruleset = current_ruleset().ruleset if ruleset is None else ruleset
    users = user_kind().rows() if users is None else users
    compilers = _Compilers(now)
    asked = sorted(ruleset.definitions if keys is None else keys)
    questions = [_is_in(ruleset, key, compilers) for key in asked]
    total, answers = _count(users, questions, now=now, finish=finish)
    sizes = (
        SegmentSize(key=key, at_least=least, at_most=most, why_inexact=why)
        for key, (least, most, why) in zip(asked, answers, strict=True)
    )
    return SegmentSizes(users=total, sizes=tuple(sizes))


def moved_between(
    before: Ruleset,
    after: Ruleset,
    keys: Collection[str],
    *,
    now: int,
    limit: TimeLimit | None = None,
) -> dict[str, Moved]:
    """How many users enter and leave these segments between two rulesets, at one moment (µs).

    Raises TimeIsUp past the limit, whose `statements` must be around the call.
    """
    compilers = _Compilers(now)
    questions = [
        question
        for key in keys
        for question in (
            _moves(before, after, key, compilers),
            _moves(after, before, key, compilers),
        )
    ]
    _, answers = _count(user_kind().rows(), questions, now=now, finish=True, limit=limit)
    found = [least for least, _, _ in answers]
    return {
        key: Moved(entering=entering, leaving=leaving)
        for key, entering, leaving in zip(keys, found[::2], found[1::2], strict=True)
    }


class _Compilers:
    """One compiler for each ruleset and source, so that each segment is compiled once."""

    def __init__(self, now: int) -> None:
        self.now = now
        self._made: dict[tuple[int, int], SegmentCompiler] = {}
        self._kept: list[object] = []

    def segment(self, ruleset: Ruleset, key: str, source: Source) -> Bounds:
        place = (id(ruleset), id(source))
        if place not in self._made:
            # Keep the objects, so that nothing else gets their id.
            self._kept += [ruleset, source]
            self._made[place] = SegmentCompiler(ruleset, now=self.now, source=source)
        return self._made[place].segment(key)


def _is_in(ruleset: Ruleset, key: str, compilers: _Compilers) -> _Question:
    return _Question(
        bounds=lambda source: compilers.segment(ruleset, key, source),
        judge=lambda attributes: ruleset.matches(key, attributes, now=compilers.now),
    )


def _moves(before: Ruleset, after: Ruleset, key: str, compilers: _Compilers) -> _Question:
    """The users who are not in the segment before, and are in it after."""
    old, new = _is_in(before, key, compilers), _is_in(after, key, compilers)
    return _Question(
        bounds=lambda source: both([new.bounds(source), inverse(old.bounds(source))]),
        judge=lambda attributes: new.judge(attributes) and not old.judge(attributes),
    )


Answer = tuple[int, int, tuple[str, ...]]
"""At least, at most, and what SQL cannot express."""


def _count(
    users: QuerySet[Any],
    questions: Sequence[_Question],
    *,
    now: int,
    finish: bool,
    limit: TimeLimit | None = None,
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
            least = most = least + _judged(users, question, now, limit)
        answers.append((least, most, found.reasons))
    return total, answers


def _parts(bounds: Bounds) -> list[Condition]:
    return [bounds.lower] if bounds.exact else [bounds.lower, bounds.upper]


def _judged(users: QuerySet[Any], question: _Question, now: int, limit: TimeLimit | None) -> int:
    """How many of the users for whom SQL cannot decide are in."""
    doubted = users.filter(in_doubt(question.bounds(Inline())))
    found = 0
    for batch in batches(doubted):
        if limit is not None and limit.is_over():
            raise TimeIsUp
        found += sum(question.judge(attributes_of(user, now)) for user in batch)
    return found
