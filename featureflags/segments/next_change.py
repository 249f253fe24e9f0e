"""When an answer can change by itself: ages, dates that move, and memberships that begin or end.

Pure, like the ruleset that it reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Final
from weakref import WeakKeyDictionary

from featureflags.core.types import Attributes
from featureflags.segments.definitions import USER_KIND
from featureflags.segments.matching import CompiledClause, reader
from featureflags.segments.moving_dates import next_change_in
from featureflags.segments.ruleset import Membership, Ruleset
from featureflags.segments.time_attributes import (
    END_OF_TIME,
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
    attributes: Attributes,
    clocks: Mapping[str, Clock],
    *,
    now: int,
    segment_keys: Collection[str] | None = None,
    kind: str = USER_KIND,
) -> int | None:
    """The next instant (µs) after ``now`` at which an answer for this row of a kind can change, or None.

    Never late. For a membership that begins or ends, and for clauses on an account's age or another
    stepped clock, it is the very instant, and only clauses count whose own outcome flips there;
    that other conditions of the rule may hide the flip is not looked into. So it is with dates that move.
    ``attributes`` are those of the row at ``now``, its ``key`` among them; ``clocks`` holds those that
    change by themselves, by name; all others are taken to stay.
    ``segment_keys`` limits the question to some segments and all that they use.
    """
    relevant = None
    if segment_keys is not None:
        known = [key for key in segment_keys if key in ruleset.definitions]
        relevant = {segment.definition.key for segment in ruleset.with_dependencies(*known)}
    return min(
        (
            *_bounds(_memberships(ruleset, attributes, kind), now, relevant),
            *_flips(ruleset, clocks, now, relevant, kind),
            *moving_changes(ruleset, attributes, clocks, now=now, kind=kind, relevant=relevant),
        ),
        default=None,
    )


def _memberships(ruleset: Ruleset, attributes: Attributes, kind: str) -> Iterable[Membership]:
    key = attributes.get("key")
    return ruleset.memberships(key, kind) if isinstance(key, str) else ()


def moving_changes(
    ruleset: Ruleset,
    attributes: Attributes,
    clocks: Mapping[str, Clock],
    *,
    now: int,
    kind: str,
    relevant: Collection[str] | None = None,
) -> Iterator[int]:
    """When each clause on a date that moves next changes for this row; nothing where none does."""
    for key, clause in ruleset.moving_clauses(kind):
        if relevant is not None and key not in relevant:
            continue
        value = reader(clause.path, kind)(attributes)
        values = value if isinstance(value, list | tuple) else [value]
        clock = clocks.get(clause.path[0])
        if isinstance(clock, CurrentTime):
            found = [window.next_change_of_now(now) for window in clause.windows]
        else:
            found = [_next_in(clause, each, now) for each in values]
            found.append(None if clock is None else clock.next_change(now))
        yield from (at for at in found if at is not None and at < END_OF_TIME)


def _next_in(clause: CompiledClause, value: object, now: int) -> int | None:
    try:
        return next_change_in(clause.windows, value, now)
    except OverflowError:
        return None


def _bounds(
    memberships: Iterable[Membership], now: int, relevant: Collection[str] | None
) -> Iterator[int]:
    """When memberships begin and end, after ``now``."""
    for segment_key, _, since, until in memberships:
        if relevant is None or segment_key in relevant:
            yield from (at for at in (since, until) if at is not None and now < at)


def _flips(
    ruleset: Ruleset,
    clocks: Mapping[str, Clock],
    now: int,
    relevant: AbstractSet[str] | None,
    kind: str,
) -> Iterator[int]:
    for name, clock in clocks.items():
        buckets = ruleset.bucketed_by(name, kind)
        if buckets and (relevant is None or not relevant.isdisjoint(buckets)):
            # Another value is another bucket.
            value_changes = clock.next_change(now)
            if value_changes is not None:
                yield value_changes
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
