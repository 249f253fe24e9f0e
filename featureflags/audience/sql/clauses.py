"""One clause in SQL: the operand, and the condition under which the clause holds.

As in `segments.matching`: a clause on a missing or null attribute is false, negated or not; a list
matches by any of its elements; a comparison of an integer beyond a double never matches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import Any, Final

from django.db.models import Q

from featureflags.audience.sql.bounds import (
    Bounds,
    Condition,
    any_of,
    both,
    either,
    exactly,
    inverse,
    negation,
    to_expression,
    unknown,
)
from featureflags.audience.sql.expressions import (
    AnyRow,
    Compare,
    IsFalse,
    IsTrue,
    KeyIn,
    OneOf,
    Present,
)
from featureflags.audience.sql.instant_clauses import instant_bounds, within
from featureflags.audience.sql.instant_ranges import (
    days_equal,
    days_within,
    limit_of,
)
from featureflags.audience.sql.json_clauses import (
    json_bounds,
    json_present,
    length_condition,
    numbers_in_windows,
)
from featureflags.audience.sql.json_lists import DistinctTexts
from featureflags.audience.sql.operands import (
    RELATED,
    BooleanColumn,
    Constant,
    DaysColumn,
    InstantColumn,
    JSONColumn,
    KeyColumn,
    NumberColumn,
    Operand,
    RelatedTexts,
    Source,
    TextColumn,
    Unknown,
)
from featureflags.audience.sql.text_clauses import text_bounds
from featureflags.core.types import JSONValue
from featureflags.kinds.compiled import CompiledKind
from featureflags.segments.definitions import EXISTS, Clause
from featureflags.segments.moving_dates import WINDOWS, any_holds
from featureflags.segments.operators import LENGTH_TESTS, value_test
from featureflags.segments.values import is_number
from featureflags.segments.windows import YEARS_AFTER, YEARS_BEFORE

COMPARISONS: Final = frozenset(
    {"lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual", "before", "after"}
)
MOST_VALUES: Final = 50_000
"""Values of one condition in a query: SQLite refuses a query with more than 250,000 parameters."""
LARGEST_INTEGER: Final = 2**63 - 1


def clause_bounds(clause: Clause, operand: Operand, source: Source, now: int) -> Bounds:
    """The condition of a clause that is not broken and not a segmentMatch, at `now` (µs)."""
    why = _undecided(clause, operand)
    if why is not None or isinstance(operand, Unknown):
        return unknown(why or "")
    if isinstance(operand, Constant):
        return exactly(_constant(clause, operand.value, now))
    present = _present(operand)
    if clause.op == EXISTS:
        return exactly(negation(present) if clause.negate else present)
    found = _on_values(clause, operand, present, source, now)
    return either([exactly(negation(present)), found]) if clause.holds_for_missing else found


def _on_values(
    clause: Clause, operand: Operand, present: Condition, source: Source, now: int
) -> Bounds:
    """The condition for rows that have a value; false for all others."""
    if isinstance(operand, JSONColumn):
        return json_bounds(clause, operand, now)
    passes = _passes(operand, clause, source, now)
    if clause.negate:
        return both([exactly(present), inverse(passes)])
    # NULL never passes, unless everything passes.
    everything = passes.lower is True or passes.upper is True
    return both([exactly(present), passes]) if everything else passes


def parameters_of(clause: Clause, operand: Operand) -> int:
    """How many of the values are a parameter each. Those of `in` are mostly one list, or literals."""
    if clause.op == "in" and not isinstance(operand, InstantColumn | DaysColumn):
        return 0
    each = 2 * (YEARS_BEFORE + YEARS_AFTER) if clause.op == "onDayOfYear" else 1
    return each * len(clause.values)


def _undecided(clause: Clause, operand: Operand) -> str | None:
    """Why SQL cannot decide the clause at all; None if it may."""
    if isinstance(operand, Unknown):
        return operand.why
    if len(clause.values) > MOST_VALUES:
        return f"SQL takes {MOST_VALUES:,} values at most ({clause.op})"
    return None


def _constant(clause: Clause, value: JSONValue, now: int) -> bool:
    if clause.op == EXISTS:
        return (value is None) is clause.negate
    if value is None:
        return clause.holds_for_missing
    if clause.op in LENGTH_TESTS:
        return LENGTH_TESTS[clause.op](clause.values)(value) is not clause.negate
    if clause.op in WINDOWS:
        return any_holds(WINDOWS[clause.op](clause.values), value, now) is not clause.negate
    test = value_test(clause.op, clause.values, ignore_case=clause.ignore_case)
    return test(value) is not clause.negate


def _present(operand: Operand) -> Condition:
    if isinstance(operand, JSONColumn):
        return json_present(operand)
    nullable: Any = None
    if isinstance(operand, TextColumn):
        nullable = operand.text
    elif isinstance(operand, BooleanColumn):
        nullable = operand.boolean
    elif isinstance(operand, NumberColumn):
        nullable = operand.number
    elif isinstance(operand, InstantColumn):
        nullable = operand.instant
    elif isinstance(operand, DaysColumn):
        nullable = operand.since
    # A key always exists, and so does a list of related rows, also an empty one.
    return True if nullable is None else Present(nullable)


@singledispatch
def _passes(operand: Operand, _clause: Clause, _source: Source, _now: int) -> Bounds:
    """The condition under which an existing value passes the operator."""
    raise TypeError(f"not an operand: {operand!r}")


@_passes.register
def _text(operand: TextColumn, clause: Clause, _source: Source, _now: int) -> Bounds:
    return text_bounds(clause, operand.text)


@_passes.register
def _key(operand: KeyColumn, clause: Clause, _source: Source, _now: int) -> Bounds:
    if clause.op == "in" and not clause.ignore_case:
        return exactly(key_condition(operand.pk, clause.values, operand.kind))
    return text_bounds(clause, operand.text)


def key_condition(pk: Any, keys: Sequence[object], kind: CompiledKind) -> Condition:
    """The key of a row of this kind is one of these."""
    found = {value for key in keys if (value := kind.parse_key(key)) is not None}
    return KeyIn(pk, sorted(found), kind.key_field) if found else False


@_passes.register
def _boolean(operand: BooleanColumn, clause: Clause, _source: Source, _now: int) -> Bounds:
    values = clause.values if clause.op == "in" else ()
    wanted = {value for value in values if isinstance(value, bool)}
    return exactly(
        any_of((IsTrue if value else IsFalse)(operand.boolean) for value in sorted(wanted))
    )


@_passes.register
def _number(operand: NumberColumn, clause: Clause, _source: Source, now: int) -> Bounds:
    op, values = clause.op, clause.values
    if op in WINDOWS:
        return numbers_in_windows(clause, operand.number, now)
    if op in COMPARISONS:
        limit = limit_of(op, values)
        if limit is None:
            return exactly(False)
        return exactly(Compare(operand.number, limit.symbol, limit.number))
    if op != "in":
        return exactly(False)
    numbers = tuple(number for value in values if (number := _in_a_column(value)) is not None)
    return exactly(OneOf(operand.number, numbers) if numbers else False)


def _in_a_column(value: JSONValue) -> int | float | None:
    """The number as a column may hold it; None: none can. Beyond 64 bits there are doubles alone."""
    if not isinstance(value, int | float) or not is_number(value):
        return None
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        try:
            double = float(value)
        except OverflowError:
            return None
        return double if double == value else None
    return value if math.isfinite(value) else None


@_passes.register
def _instant(operand: InstantColumn, clause: Clause, _source: Source, now: int) -> Bounds:
    return instant_bounds(operand, clause, now)


@_passes.register
def _days(operand: DaysColumn, clause: Clause, _source: Source, now: int) -> Bounds:
    op, values = clause.op, clause.values
    if op in WINDOWS:
        return unknown(f"SQL does not read a number of days as a date ({op})")
    if op in COMPARISONS:
        limit = limit_of(op, values)
        return exactly(False if limit is None else within(operand.since, days_within(limit, now)))
    if op == "in":
        return exactly(any_of(within(operand.since, span) for span in days_equal(values, now)))
    return exactly(False)


@_passes.register
def _related(operand: RelatedTexts, clause: Clause, source: Source, _now: int) -> Bounds:
    if clause.op in LENGTH_TESTS:
        enough = length_condition(clause, DistinctTexts(operand.rows))
        return exactly(enough if isinstance(enough, bool | Q) else source.take_rows(enough))
    bounds = text_bounds(clause, RELATED)

    def some(one: Condition) -> Condition:
        if one is False:
            return False
        holds = Present(RELATED) if one is True else one
        return source.take_rows(AnyRow(operand.rows, to_expression(holds)))

    return _lifted(bounds, some)


def _lifted(bounds: Bounds, lift: Callable[[Condition], Condition]) -> Bounds:
    lower = lift(bounds.lower)
    upper = lower if bounds.exact else lift(bounds.upper)
    return Bounds(lower=lower, upper=upper, reasons=bounds.reasons)
