"""Clauses on a stored instant: ranges that an index serves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.db.models import DateTimeField, Value

from featureflags.audience.sql.bounds import (
    Bounds,
    Condition,
    all_of,
    any_of,
    either,
    exactly,
    unknown,
)
from featureflags.audience.sql.expressions import Within
from featureflags.audience.sql.instant_ranges import (
    FIRST_INSTANT,
    LAST_INSTANT,
    Span,
    instants_within,
    limit_of,
)
from featureflags.audience.sql.moving_ranges import beyond_years, instants_in
from featureflags.audience.sql.operands import InstantColumn
from featureflags.core.times import to_datetime, to_plain_date, to_rfc3339
from featureflags.core.types import JSONValue
from featureflags.segments.definitions import Clause
from featureflags.segments.member_json import parse_expiry
from featureflags.segments.moving_dates import WINDOWS
from featureflags.segments.operator_labels import IGNORES_CASE

_INSTANT: Final = DateTimeField()


def instant_bounds(operand: InstantColumn, clause: Clause, now: int) -> Bounds:
    """The condition under which an existing instant passes a clause, at `now` (µs)."""
    op, values = clause.op, clause.values
    if op in WINDOWS:
        return _in_windows(operand, clause, now)
    if op in {"before", "after"}:
        limit = limit_of(op, values)
        return exactly(False if limit is None else within(operand.instant, instants_within(limit)))
    if op == "in" and not clause.ignore_case:
        spans = _written(values, plain_dates=operand.plain_dates)
        return exactly(any_of(within(operand.instant, span) for span in spans))
    if op in IGNORES_CASE:
        return unknown(f"SQL does not read an instant as text ({op})")
    return exactly(False)


def _in_windows(operand: InstantColumn, clause: Clause, now: int) -> Bounds:
    windows, dates = WINDOWS[clause.op](clause.values), operand.plain_dates

    def any_within(spans: Iterable[Span]) -> Condition:
        return any_of(within(operand.instant, span) for span in spans)

    found = exactly(any_within(instants_in(windows, now, plain_dates=dates)))
    far = any_within(beyond_years(windows, now, plain_dates=dates))
    why = f"SQL looks for a day of the year in the years near to now ({clause.op})"
    return either([found, unknown(why, at_most=far)])


def _written(values: Sequence[JSONValue], *, plain_dates: bool) -> list[Span]:
    """The instants that are written exactly as these texts."""
    write = to_plain_date if plain_dates else to_rfc3339
    instants = [(value, parse_expiry(value)) for value in values]
    return [
        Span(first=instant, last=instant)
        for value, instant in instants
        if instant is not None
        and FIRST_INSTANT <= instant <= LAST_INSTANT
        and write(instant) == value
    ]


def within(instant: Any, span: Span) -> Condition:
    """The instant lies in a span."""
    first, last = span.first, span.last
    if first > LAST_INSTANT or last < FIRST_INSTANT:
        return False
    bounds = []
    if first > FIRST_INSTANT:
        bounds.append((">=", first))
    if last < LAST_INSTANT:
        bounds.append(("<=", last))
    return all_of(
        Within(instant, symbol, Value(to_datetime(bound), output_field=_INSTANT))
        for symbol, bound in bounds
    )
