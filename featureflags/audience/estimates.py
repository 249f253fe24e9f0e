"""A preview in numbers that come at once: exact where few rows match, else estimates from a sample.

    preview_of(unsaved_segment("paying", rules), quick=True)

It counts 20,000 random rows. If few of them match, or move, the exact count gets its chance: an index
may give it at once. Else more rows, as there is time, make the interval narrower: up to 80,000, or 260,000
where keys are random. Without a sample (a table of at most 102,000 rows, or none drawn yet) the preview is
the exact one.

Hidden SQL: for a sample, a statement for each part of it, and up to three for examples; for the chance,
one statement more. Users for whom SQL cannot decide are judged in Python, in a sample of 2,000.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

from featureflags.audience.comparison import Comparison
from featureflags.audience.day_sample import MIDDLE, SMALL, DaySample, day_sample
from featureflags.audience.impact import COUNTING_SHARE, Measured, impact_of
from featureflags.audience.intervals import estimated
from featureflags.audience.parts import Impact, Part
from featureflags.audience.sql.bounds import any_of, to_q
from featureflags.audience.sql.operands import Inline
from featureflags.audience.sql.statement_timeout import TimeLimit
from featureflags.segments.definitions import SegmentDefinition
from featureflags.segments.ruleset import Ruleset

QUICK_SECONDS: Final = 0.27
"""For the estimate that comes first. It is to be there after 0.3 s, and its interval takes the rest."""
LEFT_SECONDS: Final = 1.5
"""For the one that is left where the time for the exact count is over: its interval is half as wide."""
FIRST_SECONDS: Final = 1.5
"""For the first part of the sample: where its rows are not in memory yet, it takes that long."""
CHANCE_SECONDS: Final = 0.1
"""For the exact count of a rare segment."""
SPREAD: Final = 1.2
"""The next part of the sample may take so many times as long as the last one."""
RARE: Final = 0.007
"""Share of the rows that match or move up to which an index may count them in that time."""


def preview_of(
    after: SegmentDefinition,
    *,
    before: Ruleset | None = None,
    now: int | None = None,
    seconds: float | None = None,
    quick: bool = False,
) -> Impact:
    """As `impact_of`, with estimates in the place of what there was no time to count.

    `quick`: do not count all rows, if there is a sample. All rows are then as many as in the last hour.
    """
    comparison = Comparison.with_definition(after, before=before, now=now)
    sample = day_sample(comparison.kind)
    if sample is None or sample.is_everybody:
        return impact_of(after, before=before, now=comparison.now, seconds=seconds)
    if quick:
        return _estimated(comparison, sample, QUICK_SECONDS)
    counted = impact_of(after, before=before, now=comparison.now, seconds=seconds)
    return (
        counted
        if counted.is_exact
        else _joined(counted, _estimated(comparison, sample, LEFT_SECONDS))
    )


def _estimated(comparison: Comparison, sample: DaySample, seconds: float) -> Impact:
    began = time.monotonic()
    bounds = comparison.bounds(Inline())
    is_exact = all(one.exact for one in bounds)
    part = MIDDLE if is_exact else SMALL
    using = sample.kind.rows().db
    first = Measured(
        comparison,
        TimeLimit(using, FIRST_SECONDS),
        sample.rows(part),
        are_few=True,
        shown=None if part == SMALL else sample.rows(SMALL),
    )
    is_whole = first.count()
    took = time.monotonic() - began
    seen = first.result(is_exact=is_whole)
    if not is_whole or not seen.users.at_least:
        # The rows that were counted may be neighbours: they are no sample.
        return _of_all(first.with_samples(is_exact=False), sample)
    if _is_rare(seen):
        rare = sample.kind.rows().filter(to_q(any_of(one.upper for one in bounds)))
        chance = Measured(comparison, TimeLimit(using, CHANCE_SECONDS), rare)
        if chance.count():
            everybody = Part(at_least=sample.total, is_exact=True)
            return replace(chance.with_samples(is_exact=True), users=everybody)
        return _of_all(first.with_samples(is_exact=True), sample)
    found = first.with_samples(is_exact=True)
    if is_exact:
        found = _widened(found, comparison, sample, began + seconds, took)
    return _of_all(found, sample)


def _widened(
    found: Impact, comparison: Comparison, sample: DaySample, ends: float, took: float
) -> Impact:
    """With one part of the sample after another until that instant. `took`: seconds for the first one."""
    for part in sample.parts[MIDDLE + 1 :]:
        began = time.monotonic()
        if ends - began < took * SPREAD:
            break
        limit = TimeLimit(sample.kind.rows().db, (ends - began) / COUNTING_SHARE)
        more = Measured(comparison, limit, sample.rows(part), are_few=True)
        if not more.count():
            break
        found = _together(found, more.result(is_exact=True))
        took = time.monotonic() - began
    return found


def _is_rare(found: Impact) -> bool:
    touched = found.matching.at_least + found.leaving.at_least
    return touched <= RARE * found.users.at_least


def _together(one: Impact, other: Impact) -> Impact:
    """Two parts of a sample as one, with the examples of the first."""

    def both(first: Part, second: Part) -> Part:
        return replace(first, at_least=first.at_least + second.at_least)

    return replace(
        one,
        users=both(one.users, other.users),
        matching=both(one.matching, other.matching),
        entering=both(one.entering, other.entering),
        leaving=both(one.leaving, other.leaving),
    )


def _of_all(found: Impact, sample: DaySample) -> Impact:
    """What was found in a sample, for all rows. Without estimates if the sample was not counted to its end."""
    size = found.users.at_least

    def part(seen: Part) -> Part:
        estimate = estimated(seen.at_least, size, sample.total) if found.is_exact and size else None
        return replace(seen, is_exact=False, estimate=estimate)

    return replace(
        found,
        users=Part(at_least=sample.total, is_exact=False),
        matching=part(found.matching),
        entering=part(found.entering),
        leaving=part(found.leaving),
    )


def _joined(counted: Impact, estimate: Impact) -> Impact:
    """A count that was cut off, with an estimate or the exact numbers of a rare segment."""
    if estimate.is_exact:
        return estimate

    def part(lower: Part, guess: Part) -> Part:
        return replace(
            lower,
            at_least=max(lower.at_least, guess.at_least),
            samples=lower.samples or guess.samples,
            estimate=guess.estimate,
        )

    return replace(
        counted,
        users=estimate.users,
        matching=part(counted.matching, estimate.matching),
        entering=part(counted.entering, estimate.entering),
        leaving=part(counted.leaving, estimate.leaving),
    )
