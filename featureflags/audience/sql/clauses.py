"""One clause in SQL: the operand, and the condition under which the clause holds.

As in `segments.matching`: a clause on a missing or null attribute is false, negated or not; a list
matches by any of its elements; a comparison of an integer beyond a double never matches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, Final

from django.db.models import DateTimeField, Exists, F, OuterRef, QuerySet, Value
from django.db.models.lookups import Exact, GreaterThanOrEqual, LessThanOrEqual

from featureflags.audience.sql.bounds import (
    Bounds,
    Condition,
    all_of,
    any_of,
    both,
    condition,
    exactly,
    inverse,
    negation,
    unknown,
)
from featureflags.audience.sql.expressions import Compare, KeyIn, OneOf, Present, Text, as_keys
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
    BooleanColumn,
    Column,
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
from featureflags.segments.definitions import EXISTS, Clause
from featureflags.segments.member_json import parse_expiry
from featureflags.segments.operators import VALUE_TESTS
from featureflags.segments.values import is_number
from users.models import User
from users.times import to_datetime, to_rfc3339

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
        return exactly(_constant(clause, operand.value))
    present = _present(operand)
    if clause.op == EXISTS:
        return exactly(negation(present) if clause.negate else present)
    if isinstance(operand, JSONColumn):
        return json_bounds(clause, operand)
    passes = _passes(operand, _Test(op=clause.op, values=clause.values, source=source, now=now))
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
    # A key always exists, and so does a list of related rows, also an empty one.
    return condition(Present(operand.sql)) if isinstance(operand, Column) else True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    """What a value must pass: an operator and its values, at `now` (µs)."""

    op: str
    values: Sequence[JSONValue]
    source: Source
    now: int


@singledispatch
def _passes(operand: Operand, _test: _Test) -> Bounds:
    """The condition under which an existing value passes the operator."""
    raise TypeError(f"not an operand: {operand!r}")


@_passes.register
def _text(operand: TextColumn, test: _Test) -> Bounds:
    return text_bounds(test.op, test.values, operand.sql)


@_passes.register
def _key(operand: KeyColumn, test: _Test) -> Bounds:
    if test.op == "in":
        return exactly(key_condition(operand.pk, test.values))
    return text_bounds(test.op, test.values, operand.text)


def key_condition(pk: Any, keys: Sequence[object]) -> Condition:
    """The user's key is one of these."""
    found = as_keys(keys)
    return condition(KeyIn(pk, found)) if found else False


@_passes.register
def _boolean(operand: BooleanColumn, test: _Test) -> Bounds:
    wanted = (
        {value for value in test.values if isinstance(value, bool)} if test.op == "in" else set()
    )
    return exactly(any_of(condition(Exact(operand.sql, value)) for value in sorted(wanted)))


@_passes.register
def _number(operand: NumberColumn, test: _Test) -> Bounds:
    if test.op in COMPARISONS:
        limit = limit_of(test.op, test.values)
        if limit is None:
            return exactly(False)
        return exactly(condition(Compare(operand.sql, limit.symbol, limit.number)))
    if test.op != "in":
        return exactly(False)
    numbers = tuple(
        value
        for value in test.values
        if isinstance(value, int | float) and is_number(value) and abs(value) <= LARGEST_INTEGER
    )
    return exactly(condition(OneOf(operand.sql, numbers)) if numbers else False)


@_passes.register
def _instant(operand: InstantColumn, test: _Test) -> Bounds:
    if test.op in {"before", "after"}:
        limit = limit_of(test.op, test.values)
        return exactly(False if limit is None else _within(operand.sql, instants_within(limit)))
    if test.op == "in":
        return exactly(any_of(_within(operand.sql, span) for span in _written(test.values)))
    if test.op in {"startsWith", "endsWith", "contains", "matches"}:
        return unknown(f"SQL does not read an instant as text ({test.op})")
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
def _days(operand: DaysColumn, test: _Test) -> Bounds:
    if test.op in COMPARISONS:
        limit = limit_of(test.op, test.values)
        return exactly(
            False if limit is None else _within(operand.sql, days_within(limit, test.now))
        )
    if test.op == "in":
        return exactly(
            any_of(_within(operand.sql, span) for span in days_equal(test.values, test.now))
        )
    return exactly(False)


def _within(instant: Any, span: Span) -> Condition:
    first, last = span.first, span.last
    if first > LAST_INSTANT or last < FIRST_INSTANT:
        return False
    return all_of(
        condition(lookup(instant, Value(to_datetime(bound), output_field=DateTimeField())))
        for lookup, bound, open_end in (
            (GreaterThanOrEqual, first, FIRST_INSTANT),
            (LessThanOrEqual, last, LAST_INSTANT),
        )
        if (bound > open_end if lookup is GreaterThanOrEqual else bound < open_end)
    )


@_passes.register
def _related(operand: RelatedTexts, test: _Test) -> Bounds:
    bounds = text_bounds(test.op, test.values, Text(F(operand.column)))

    def some(one: Condition) -> Condition:
        if one is False:
            return False
        return condition(test.source.take_rows(_rows(operand, one), (operand, one)))

    return _lifted(bounds, some)


def _lifted(bounds: Bounds, lift: Callable[[Condition], Condition]) -> Bounds:
    lower = lift(bounds.lower)
    upper = lower if bounds.exact else lift(bounds.upper)
    return Bounds(lower=lower, upper=upper, reasons=bounds.reasons)


def _rows(operand: RelatedTexts, one: Condition) -> Exists:
    """True for a user with a related row for which the condition holds."""
    field: Any = User._meta.get_field(operand.relation)  # noqa: SLF001 - Django's documented API
    rows: QuerySet[Any] = QuerySet(field.related_model).filter(
        **{field.related_query_name(): OuterRef("pk")}
    )
    return Exists(rows if one is True else rows.filter(one))
