"""The impact of a change before it is saved: how many users match, enter and leave, with examples.

Hidden SQL: one statement counts (two, where metadata hold lists), and three read five users each
who match, enter and leave. Users for whom SQL cannot decide are read in batches and judged in
Python, and so are the examples of rules with many clauses. A time limit covers all of it; past that
the numbers are lower bounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from typing import Any, Final

from django.db.models import QuerySet

from featureflags.audience.comparison import Comparison, Conditions
from featureflags.audience.parts import Impact, Part, SampleUser
from featureflags.audience.querysets import BATCH, batches
from featureflags.audience.sql.bounds import Condition, any_of, to_q
from featureflags.audience.sql.counting import TooWide, count_combinations
from featureflags.audience.sql.operands import Inline, Source
from featureflags.audience.sql.statement_timeout import TimeIsUp, TimeLimit
from featureflags.core.conf import app_settings
from featureflags.kinds.compiled import CompiledKind
from featureflags.segments.definitions import SegmentDefinition
from featureflags.segments.ruleset import Ruleset

SAMPLES: Final = 5
"""Examples of the users who match, of those who enter, and of those who leave."""

COUNTING_SHARE: Final = 0.75
"""Share of the time limit after which the count stops."""

PROBED: Final = 1_000
"""Users looked for of each part, if the count was cut off and knows nothing of it."""

SAMPLE_SECONDS: Final = 0.15
"""For each set of examples, however late it is: most are found at once."""

MOST_CLAUSES_OF_SAMPLES: Final = 300
"""A query for examples computes an attribute for each clause again. With more clauses than this,
before and after together, it costs more than to judge the first users in Python."""


def impact_of(
    after: SegmentDefinition,
    *,
    before: Ruleset | None = None,
    now: int | None = None,
    seconds: float | None = None,
) -> Impact:
    """What changes if this definition replaces the one with its key.

    `before`: the rules to compare with, by default those in force. `now`: in µs. `seconds`: the
    time limit, by default the setting `IMPACT_SECONDS`. A definition with nothing but a key
    means a deleted segment.
    """
    seconds = app_settings().impact_seconds if seconds is None else seconds
    comparison = Comparison.with_definition(after, before=before, now=now)
    return Measured(comparison, TimeLimit(comparison.kind.rows().db, seconds)).impact()


def impact_on(
    after: SegmentDefinition,
    user_keys: Collection[str],
    *,
    before: Ruleset | None = None,
    now: int | None = None,
) -> Impact:
    """The same, exact, for these users only: a change of memberships moves no other users.
    One query for each `BATCH` of them."""
    comparison = Comparison.with_definition(after, before=before, now=now)
    measured = Measured(comparison, TimeLimit(comparison.kind.rows().db, 0))
    keys = sorted(set(user_keys))
    for start in range(0, len(keys), BATCH):
        measured.look_at(comparison.kind.snapshots_by_key(keys[start : start + BATCH]).values())
    return measured.result(is_exact=True)


@dataclass(slots=True)
class _Tally:
    """One part, counted so far."""

    number: int = 0
    samples: list[SampleUser] = field(default_factory=list)

    def add(self, user: Any, kind: CompiledKind) -> None:
        self.number += 1
        self.show(_sample(user, kind))

    def show(self, user: SampleUser) -> None:
        if len(self.samples) < SAMPLES:
            self.samples.append(user)

    def part(self, *, is_exact: bool) -> Part:
        return Part(at_least=self.number, is_exact=is_exact, samples=tuple(self.samples))


class Measured:
    """The impact, counted within a time limit.

    `rows`: of the kind, by default all. `are_few`: they are read by their keys. `shown`: where examples
    are looked for first.
    """

    def __init__(
        self,
        comparison: Comparison,
        limit: TimeLimit,
        rows: QuerySet[Any] | None = None,
        *,
        are_few: bool = False,
        shown: QuerySet[Any] | None = None,
    ) -> None:
        self._comparison = comparison
        self._limit = limit
        self._kind = comparison.kind
        self._rows = self._kind.rows() if rows is None else rows
        self._are_few = are_few
        self._shown = [self._rows] if shown is None else [shown, self._rows]
        self._users = 0
        self._matching, self._entering, self._leaving = _Tally(), _Tally(), _Tally()
        self._parts = (self._matching, self._entering, self._leaving)
        self._clauses = 0
        self._is_in_doubt = False

    def impact(self) -> Impact:
        """The numbers with examples."""
        return self.with_samples(is_exact=self.count())

    def count(self) -> bool:
        """Count. True if it got to the end."""
        try:
            is_whole = self._count_in_sql()
        except TooWide:
            return self._judge(self._rows, self.look_at)
        if not is_whole or not self._is_in_doubt:
            return is_whole
        return self._judge(self._rows.filter(to_q(self._inline.in_doubt)), self._add_all)

    def with_samples(self, *, is_exact: bool) -> Impact:
        """The numbers so far, with examples."""
        if self._clauses > MOST_CLAUSES_OF_SAMPLES:
            self._judge_samples()
            return self.result(is_exact=is_exact)
        inline = self._inline
        self._read_samples(self._entering, inline.entering, is_exact)
        self._read_samples(self._leaving, inline.leaving, is_exact)
        if is_exact and self._entering.number == self._matching.number:
            self._matching.samples = self._entering.samples
        else:
            self._read_samples(self._matching, inline.matching, is_exact)
            self._matching.number = max(self._matching.number, self._entering.number)
        return self.result(is_exact=is_exact)

    @cached_property
    def _inline(self) -> Conditions:
        return self._comparison.conditions(Inline())

    def look_at(self, users: Iterable[Any]) -> None:
        """Judge and add these users, who are not counted yet."""
        for user in users:
            self._users += 1
            self._add(user)

    def result(self, *, is_exact: bool) -> Impact:
        """The numbers so far."""
        return Impact(
            key=self._comparison.key,
            users=Part(at_least=self._users, is_exact=is_exact),
            matching=self._matching.part(is_exact=is_exact),
            entering=self._entering.part(is_exact=is_exact),
            leaving=self._leaving.part(is_exact=is_exact),
        )

    def _count_in_sql(self) -> bool:
        """Count the users for whom SQL can decide. True if it looked at all users. Raises TooWide."""

        def conditions(source: Source) -> list[Condition]:
            old, new = self._comparison.bounds(source)
            self._clauses = old.size + new.size
            self._is_in_doubt = not (old.exact and new.exact)
            sure = [old.lower, new.lower]
            return [*sure, any_of([old.doubt, new.doubt])] if self._is_in_doubt else sure

        users = self._rows.filter(self._limit.in_time(COUNTING_SHARE))
        try:
            with self._limit.statements():
                counts = count_combinations(users, conditions, few=self._are_few)
        except TimeIsUp:
            return False
        for (was_in, is_in, *in_doubt), number in counts.items():
            self._users += number
            if any(in_doubt):
                continue
            self._matching.number += number if is_in else 0
            self._entering.number += number if is_in and not was_in else 0
            self._leaving.number += number if was_in and not is_in else 0
        return not self._limit.is_over(COUNTING_SHARE)

    def _judge(self, rows: QuerySet[Any], add: Callable[[Iterable[Any]], None]) -> bool:
        """Judge users for whom SQL cannot decide. True if it got to the end."""
        found = batches(rows, self._kind)
        try:
            while True:
                with self._limit.statements():
                    batch = next(found, None)
                if batch is None:
                    return True
                if self._limit.is_over():
                    return False
                add(batch)
        except TimeIsUp:
            return False

    def _add_all(self, users: Iterable[Any]) -> None:
        for user in users:
            self._add(user)

    def _add(self, user: Any) -> None:
        was_in, is_in = self._comparison.judge(user)
        if is_in:
            self._matching.add(user, self._kind)
        if is_in and not was_in:
            self._entering.add(user, self._kind)
        if was_in and not is_in:
            self._leaving.add(user, self._kind)

    def _judge_samples(self) -> None:
        """Add examples that are among the first users; count them, if the count was cut off."""
        kind = self._kind
        ends = time.monotonic() + 3 * SAMPLE_SECONDS
        probed = Measured(self._comparison, self._limit, self._rows)
        try:
            with self._limit.statements(at_least=SAMPLE_SECONDS):
                users = kind.snapshots(self._rows.order_by()[:PROBED])
        except TimeIsUp:
            return
        probed.look_at(takewhile(lambda _user: time.monotonic() < ends, users))
        for part, seen in zip(self._parts, probed._parts, strict=True):
            part.number = max(part.number, seen.number)
            for sample in seen.samples:
                part.show(sample)

    def _read_samples(self, tally: _Tally, sure: Condition, is_exact: bool) -> None:
        """Add examples that SQL can decide. None are added once the time is up."""
        for rows in self._shown:
            self._read_samples_of(rows, tally, sure, is_exact)

    def _read_samples_of(
        self, among: QuerySet[Any], tally: _Tally, sure: Condition, is_exact: bool
    ) -> None:
        wanted = SAMPLES - len(tally.samples)
        if sure is False or wanted == 0 or (is_exact and tally.number == len(tally.samples)):
            return
        was_cut_off = not is_exact and tally.number == 0
        wanted = PROBED if was_cut_off else wanted
        rows = among.filter(to_q(sure)).order_by()
        try:
            with self._limit.statements(at_least=SAMPLE_SECONDS):
                found = self._kind.snapshots(rows[:wanted])
        except TimeIsUp:
            return
        if was_cut_off:
            tally.number = len(found)
        for user in found:
            tally.show(_sample(user, self._kind))


def _sample(user: Any, kind: CompiledKind) -> SampleUser:
    return SampleUser(key=user.key, title=kind.title_of(user), name=kind.label_of(user))
