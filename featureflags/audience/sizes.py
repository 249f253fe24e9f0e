"""How many users are in each segment, or enter and leave it: one pass over the users for 400 of them.

Hidden SQL: one statement for each pass. Where SQL cannot decide for some users, they are read in
batches, once for all segments of the pass, and judged in Python, unless bounds are enough. Segments of
another kind hold rows of that kind, and have passes of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet

from featureflags.audience.querysets import batches
from featureflags.audience.sql.bounds import (
    Bounds,
    Condition,
    any_of,
    both,
    inverse,
    negation,
    to_q,
)
from featureflags.audience.sql.compiler import SegmentCompiler, kind_of_segment
from featureflags.audience.sql.counting import Columns, TooWide, count_in_one_pass
from featureflags.audience.sql.operands import Inline, Source
from featureflags.audience.sql.statement_timeout import TimeIsUp, TimeLimit
from featureflags.cache.compiled_rules import known_ruleset
from featureflags.contexts.attributes import attributes_of
from featureflags.core.times import now_in_microseconds
from featureflags.core.types import Attributes
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import USER, user_kind
from featureflags.models.changesets import Moved
from featureflags.segments.ruleset import Ruleset


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSize:
    """At least and at most how many users are in a segment; the same number if it is known."""

    key: str
    at_least: int
    at_most: int
    rows: int
    """All rows of its kind: the users."""
    why_inexact: tuple[str, ...] = ()
    """What SQL cannot express, whether or not Python has finished the count."""

    @property
    def count(self) -> int | None:
        """The number of members, or None if it lies between two bounds."""
        return self.at_least if self.at_least == self.at_most else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSizes:
    """The sizes of some segments at one moment, and the number of all rows of each kind."""

    rows: Mapping[str, int]
    """By the name of the kind: those of the segments, and `user` where all were asked for."""
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

    By default of the rules in force, among all users (or rows of their kind), now. With `finish=False` only the
    statements are run, and a size may lie between two bounds.
    """
    now = now_in_microseconds() if now is None else now
    ruleset = known_ruleset().ruleset if ruleset is None else ruleset
    asked = _by_kind(ruleset, ruleset.definitions if keys is None else keys)
    if keys is None:
        asked.setdefault(user_kind(), [])
    totals: dict[str, int] = {}
    sizes: list[SegmentSize] = []
    for kind, some in asked.items():
        rows = kind.rows() if users is None or kind.name != USER else users
        compilers = _Compilers(now, kind)
        questions = [_is_in(ruleset, key, compilers) for key in some]
        total, answers = _count(rows, questions, compilers=compilers, finish=finish)
        totals[kind.name] = total
        sizes += (
            SegmentSize(key=key, at_least=least, at_most=most, rows=total, why_inexact=why)
            for key, (least, most, why) in zip(some, answers, strict=True)
        )
    return SegmentSizes(rows=totals, sizes=tuple(sorted(sizes, key=lambda size: size.key)))


def _by_kind(ruleset: Ruleset, keys: Iterable[str]) -> dict[CompiledKind, list[str]]:
    """These segments, sorted, by their kinds."""
    found: dict[CompiledKind, list[str]] = {}
    for key in sorted(keys):
        found.setdefault(kind_of_segment(ruleset, key), []).append(key)
    return found


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
    moved: dict[str, Moved] = {}
    # The kind of a deleted segment is known only before.
    known = before.evolve({**before.definitions, **after.definitions}.values(), version=0)
    for kind, some in _by_kind(known, keys).items():
        compilers = _Compilers(now, kind, limit)
        questions = [
            question
            for key in some
            for question in (
                _moves(before, after, key, compilers),
                _moves(after, before, key, compilers),
            )
        ]
        _, answers = _count(kind.rows(), questions, compilers=compilers, finish=True)
        found = [least for least, _, _ in answers]
        moved |= {
            key: Moved(entering=entering, leaving=leaving)
            for key, entering, leaving in zip(some, found[::2], found[1::2], strict=True)
        }
    return {key: moved[key] for key in keys}


class _Compilers:
    """One compiler for each ruleset and source, so that each segment of a kind is compiled once."""

    def __init__(self, now: int, kind: CompiledKind, limit: TimeLimit | None = None) -> None:
        self.now = now
        self.kind = kind
        self._limit = limit
        self._made: dict[tuple[int, int], SegmentCompiler] = {}
        self._kept: list[object] = []

    def segment(self, ruleset: Ruleset, key: str, source: Source) -> Bounds:
        place = (id(ruleset), id(source))
        if place not in self._made:
            # Keep the objects, so that nothing else gets their id.
            self._kept += [ruleset, source]
            self._made[place] = SegmentCompiler(ruleset, now=self.now, source=source)
        return self._made[place].segment(key)

    def check_time(self) -> None:
        """Raises TimeIsUp."""
        if self._limit is not None and self._limit.is_over():
            raise TimeIsUp

    def forget(self) -> None:
        """Let go of what a pass has compiled: the next one has other columns."""
        self._made.clear()
        self._kept.clear()


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


INLINE: Final = Inline()

QUESTIONS_A_PASS: Final = 400
"""A wider statement is no faster for each segment, and takes more memory."""

Answer = tuple[int, int, tuple[str, ...]]
"""At least, at most, and what SQL cannot express."""


def _count(
    users: QuerySet[Any],
    questions: Sequence[_Question],
    *,
    compilers: _Compilers,
    finish: bool,
) -> tuple[int, list[Answer]]:
    total, answers = 0, list[Answer]()
    starts = range(0, len(questions), QUESTIONS_A_PASS) or (0,)
    for start in starts:
        total, found = _pass(users, questions[start : start + QUESTIONS_A_PASS], compilers, finish)
        answers += found
        compilers.forget()
    return total, answers


def _pass(
    users: QuerySet[Any], questions: Sequence[_Question], compilers: _Compilers, finish: bool
) -> tuple[int, list[Answer]]:
    """One pass, or two halves of it where its conditions need too many columns."""
    compilers.check_time()
    bounds: list[Bounds] = []

    def conditions(columns: Columns) -> list[Condition]:
        bounds[:] = [question.bounds(columns) for question in questions]
        return [one for found in bounds for one in _parts(found)]

    try:
        total, *counted = count_in_one_pass(users, conditions)
    except TooWide:
        if len(questions) == 1:
            return _alone(users, questions[0], compilers, finish)
        compilers.forget()
        middle = len(questions) // 2
        _, before = _pass(users, questions[:middle], compilers, finish)
        total, after = _pass(users, questions[middle:], compilers, finish)
        return total, before + after
    counts = iter(counted)
    numbers = [[next(counts) for _ in _parts(found)] for found in bounds]
    answers = [
        (least, most, found.reasons)
        for found, (least, *_, most) in zip(bounds, ([n[0], *n] for n in numbers), strict=True)
    ]
    return total, _finished(users, questions, answers, compilers) if finish else answers


def _alone(
    users: QuerySet[Any], question: _Question, compilers: _Compilers, finish: bool
) -> tuple[int, list[Answer]]:
    """One condition that needs too many columns: looked up as often as it asks for them."""
    found = question.bounds(Inline())
    least, most = (users.filter(to_q(part)).count() for part in (found.lower, found.upper))
    answers = [(least, most, found.reasons)]
    finished = _finished(users, [question], answers, compilers) if finish else answers
    return users.count(), finished


def _parts(bounds: Bounds) -> list[Condition]:
    return [bounds.lower] if bounds.exact else [bounds.lower, bounds.upper]


def _finished(
    users: QuerySet[Any],
    questions: Sequence[_Question],
    answers: list[Answer],
    compilers: _Compilers,
) -> list[Answer]:
    """The same with exact numbers.

    The users in doubt of any question are read once and judged for all of them. SQL counts the
    others.
    """
    open_ = [at for at, (least, most, _) in enumerate(answers) if least != most]
    if not open_:
        return answers
    doubt = any_of(questions[at].bounds(INLINE).doubt for at in open_)
    counts: list[Answer] = []
    if doubt is not True:
        sure = users.filter(to_q(negation(doubt)))
        counts = _pass(sure, [questions[at] for at in open_], compilers, finish=False)[1]
    if doubt is True or any(least != most for least, most, _ in counts):
        doubt, counts = True, [(0, 0, ())] * len(open_)
    judged = [least for least, _, _ in counts]
    for batch in batches(users.filter(to_q(doubt)), compilers.kind):
        compilers.check_time()
        for user in batch:
            attributes = attributes_of(user, compilers.now)
            for place, at in enumerate(open_):
                judged[place] += questions[at].judge(attributes)
    exact = dict(zip(open_, judged, strict=True))
    return [
        (exact.get(at, least), exact.get(at, most), why)
        for at, (least, most, why) in enumerate(answers)
    ]
