"""One clause in SQL: the operand, and the condition under which the clause holds.

As in `segments.matching`: a clause on a missing or null attribute is false, negated or not; a list
matches by any of its elements; a comparison of an integer beyond a double never matches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import Any, Final

from django.db.models import DateTimeField, Value

from featureflags.audience.sql.bounds import (
    Bounds,
    Condition,
    all_of,
    any_of,
    both,
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
    Within,
)
from featureflags.audience.sql.instant_ranges import (
    FIRST_INSTANT,
    LAST_INSTANT,
    Span,
    days_equal,
    days_within,
    instants_within,
    limit_of,
)
from featureflags.audience.sql.json_clauses import json_bounds, json_present
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
from featureflags.core.times import to_datetime, to_rfc3339
from featureflags.core.types import JSONValue
from featureflags.kinds.compiled import CompiledKind
from featureflags.segments.definitions import EXISTS, Clause
from featureflags.segments.member_json import parse_expiry
from featureflags.segments.operators import VALUE_TESTS
from featureflags.segments.values import is_number

COMPARISONS: Final = frozenset(
    {"lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual", "before", "after"}
)
MOST_VALUES: Final = 50_000
"""Values of one condition in a query: SQLite refuses a query with more than 250,000 parameters."""
LARGEST_INTEGER: Final = 2**63 - 1
_INSTANT: Final = DateTimeField()


def clause_bounds(clause: Clause, operand: Operand, source: Source, now: int) -> Bounds:
    """The condition of a clause that is not broken and not a segmentMatch, at `now` (µs)."""
    why = _undecided(clause, operand)
    if why is not None or isinstance(operand, Unknown):
        return unknown(why or "")
    if isinstance(operand, Constant):
        return exactly(_constant(clause, operand.value))
    present = _present(operand)
    if clause.op == EXISTS:
        return exactly(negation(present) if clause.negate else present)
    if isinstance(operand, JSONColumn):
        return json_bounds(clause, operand)
    passes = _passes(operand, clause.op, clause.values, source, now)
    if clause.negate:
        return both([exactly(present), inverse(passes)])
    # NULL never passes, unless everything passes.
    everything = passes.lower is True or passes.upper is True
    return both([exactly(present), passes]) if everything else passes


def parameters_of(clause: Clause, operand: Operand) -> int:
    """How many of the values are a parameter each. Those of `in` are mostly one list, or literals."""
    if clause.op == "in" and not isinstance(operand, InstantColumn | DaysColumn):
        return 0
    return len(clause.values)


def _undecided(clause: Clause, operand: Operand) -> str | None:
    """Why SQL cannot decide the clause at all; None if it may."""
    if isinstance(operand, Unknown):
        return operand.why
    if len(clause.values) > MOST_VALUES:
        return f"SQL takes {MOST_VALUES:,} values at most ({clause.op})"
    return None


def _constant(clause: Clause, value: JSONValue) -> bool:
    if clause.op == EXISTS:
        return (value is None) is clause.negate
    if value is None:
        return False
    return VALUE_TESTS[clause.op](clause.values)(value) is not clause.negate


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
def _passes(
    operand: Operand, _op: str, _values: Sequence[JSONValue], _source: Source, _now: int
) -> Bounds:
    """The condition under which an existing value passes the operator."""
    raise TypeError(f"not an operand: {operand!r}")


@_passes.register
def _text(
    operand: TextColumn, op: str, values: Sequence[JSONValue], _source: Source, _now: int
) -> Bounds:
    return text_bounds(op, values, operand.text)


@_passes.register
def _key(
    operand: KeyColumn, op: str, values: Sequence[JSONValue], _source: Source, _now: int
) -> Bounds:
    if op == "in":
        return exactly(key_condition(operand.pk, values, operand.kind))
    return text_bounds(op, values, operand.text)


def key_condition(pk: Any, keys: Sequence[object], kind: CompiledKind) -> Condition:
    """The key of a row of this kind is one of these."""
    found = {value for key in keys if (value := kind.parse_key(key)) is not None}
    return KeyIn(pk, sorted(found), kind.key_field) if found else False


@_passes.register
def _boolean(
    operand: BooleanColumn, op: str, values: Sequence[JSONValue], _source: Source, _now: int
) -> Bounds:
    wanted = {value for value in values if isinstance(value, bool)} if op == "in" else set()
    return exactly(
        any_of((IsTrue if value else IsFalse)(operand.boolean) for value in sorted(wanted))
    )


@_passes.register
def _number(
    operand: NumberColumn, op: str, values: Sequence[JSONValue], _source: Source, _now: int
) -> Bounds:
    if op in COMPARISONS:
        limit = limit_of(op, values)
        if limit is None:
            return exactly(False)
        return exactly(Compare(operand.number, limit.symbol, limit.number))
    if op != "in":
        return exactly(False)
    numbers = tuple(
        value
        for value in values
        if isinstance(value, int | float) and is_number(value) and abs(value) <= LARGEST_INTEGER
    )
    return exactly(OneOf(operand.number, numbers) if numbers else False)


@_passes.register
def _instant(
    operand: InstantColumn, op: str, values: Sequence[JSONValue], _source: Source, _now: int
) -> Bounds:
    if op in {"before", "after"}:
        limit = limit_of(op, values)
        return exactly(False if limit is None else _within(operand.instant, instants_within(limit)))
    if op == "in":
        return exactly(any_of(_within(operand.instant, span) for span in _written(values)))
    if op in {"startsWith", "endsWith", "contains", "matches"}:
        return unknown(f"SQL does not read an instant as text ({op})")
    return exactly(False)


def _written(values: Sequence[JSONValue]) -> list[Span]:
    """The instants that are written exactly as these texts."""
    instants = [(value, parse_expiry(value)) for value in values]
    return [
        Span(first=instant, last=instant)
        for value, instant in instants
        if instant is not None
        and FIRST_INSTANT <= instant <= LAST_INSTANT
        and to_rfc3339(instant) == value
    ]


@_passes.register
def _days(
    operand: DaysColumn, op: str, values: Sequence[JSONValue], _source: Source, now: int
) -> Bounds:
    if op in COMPARISONS:
        limit = limit_of(op, values)
        return exactly(False if limit is None else _within(operand.since, days_within(limit, now)))
    if op == "in":
        return exactly(any_of(_within(operand.since, span) for span in days_equal(values, now)))
    return exactly(False)


def _within(instant: Any, span: Span) -> Condition:
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


@_passes.register
def _related(
    operand: RelatedTexts, op: str, values: Sequence[JSONValue], source: Source, _now: int
) -> Bounds:
    bounds = text_bounds(op, values, RELATED)

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
