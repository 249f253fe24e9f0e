"""When an answer can change by itself: thresholds of ages, dates, and memberships that end.

Pure, like the ruleset that it reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final
from weakref import WeakKeyDictionary

from featureflags.segments.definitions import USER_KIND
from featureflags.segments.matching import CompiledClause
from featureflags.segments.ruleset import Membership, Ruleset
from featureflags.segments.time_attributes import (
    Clock,
    CurrentTime,
    ElapsedDays,
    SteppedClock,
    flip_steps,
    next_step,
)

_STEPPED: Final = (ElapsedDays, CurrentTime)

_STEPS: WeakKeyDictionary[Ruleset, dict[tuple[str, str, type[SteppedClock]], tuple[int, ...]]] = (
    WeakKeyDictionary()
)
"""Where the clauses of a whole ruleset flip. Depends on the ruleset alone, which never changes."""


def next_change(
    ruleset: Ruleset,
    user_key: str,
    clocks: Mapping[str, Clock],
    *,
    now: int,
    segment_keys: Collection[str] | None = None,
    kind: str = USER_KIND,
) -> int | None:
    """The next instant (µs) after ``now`` at which an answer for this row of a kind can change, or None.

    Never late. For a membership that ends, and for clauses on an account's age or another
    stepped clock, it is the very instant, and only clauses count whose own outcome flips there;
    that other conditions of the rule may hide the flip is not looked into. ``clocks`` holds the
    user's attributes that change by themselves, by name; all others are taken to stay.
    ``segment_keys`` limits the question to some segments and all that they use.
    """
    relevant = None
    if segment_keys is not None:
        known = [key for key in segment_keys if key in ruleset.definitions]
        relevant = {segment.definition.key for segment in ruleset.with_dependencies(*known)}
    return min(
        (
            *_expiries(ruleset.memberships(user_key, kind), now, relevant),
            *_flips(ruleset, clocks, now, relevant, kind),
        ),
        default=None,
    )


def _expiries(
    memberships: Iterable[Membership], now: int, relevant: Collection[str] | None
) -> Iterator[int]:
    for segment_key, _, until in memberships:
        if until is not None and now < until and (relevant is None or segment_key in relevant):
            yield until


def _flips(
    ruleset: Ruleset,
    clocks: Mapping[str, Clock],
    now: int,
    relevant: Collection[str] | None,
    kind: str,
) -> Iterator[int]:
    for name, clock in clocks.items():
        if not (clauses := ruleset.clauses_on(name, kind)):
            continue
        if relevant is not None:
            clauses = [(key, clause) for key, clause in clauses if key in relevant]
        flip: int | None
        if isinstance(clock, _STEPPED):
            steps = (
                _steps(type(clock), clauses)
                if relevant is not None
                else _remembered_steps(ruleset, name, type(clock), kind)
            )
            flip = next_step(clock, steps, now=now)
        else:
            flip = clock.next_change(now) if clauses else None
        if flip is not None:
            yield flip


def _remembered_steps(
    ruleset: Ruleset, name: str, clock: type[SteppedClock], kind: str
) -> tuple[int, ...]:
    remembered = _STEPS.setdefault(ruleset, {})
    steps = remembered.get((kind, name, clock))
    if steps is None:
        clauses = ruleset.clauses_on(name, kind)
        steps = remembered[kind, name, clock] = _steps(clock, clauses)
    return steps


def _steps(
    clock: type[SteppedClock], clauses: Iterable[tuple[str, CompiledClause]]
) -> tuple[int, ...]:
    return tuple(
        sorted(
            {
                step
                for _, clause in clauses
                if clause.test is not None
                for step in flip_steps(clock, clause.clause.values, clause.test)
            }
        )
    )
