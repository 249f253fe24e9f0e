"""Clauses on a JSON value of any type, which may be a list."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from featureflags.audience.sql.bounds import (
    Bounds,
    Condition,
    all_of,
    any_of,
    both,
    either,
    exactly,
    inverse,
    negation,
    to_expression,
    unknown,
)
from featureflags.audience.sql.expressions import TINY, Compare, OneOf
from featureflags.audience.sql.instant_ranges import Limit, limit_of
from featureflags.audience.sql.json_lists import AnyElement, Holds, ListLength
from featureflags.audience.sql.json_values import (
    BeyondDouble,
    IsConstant,
    Kind,
    KindIs,
    NotNull,
    NumberIn,
)
from featureflags.audience.sql.moving_ranges import doubles_in
from featureflags.audience.sql.operands import EARLIER, ELEMENT, JSONColumn
from featureflags.audience.sql.text_clauses import text_bounds
from featureflags.core.json_numbers import normalised
from featureflags.core.types import JSONValue
from featureflags.segments.definitions import Clause
from featureflags.segments.json_limits import text_problem
from featureflags.segments.moving_dates import WINDOWS
from featureflags.segments.operators import LENGTH_TESTS, length_limit
from featureflags.segments.values import is_number
from featureflags.segments.windows import RangeWindow

_COMPARISONS: Final = frozenset(
    {"lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"}
)
_DATES: Final = frozenset({"before", "after"})

_INTEGERS: Final = range(-(2**63) + 1, 2**63)
"""Integers that SQLite holds exactly. Beyond, Python decides about equality. The smallest integer of
64 bits is left out: SQLite reads every smaller one as that one."""

MOST_CONTAINED: Final = 8
"""Values of `in` that PostgreSQL finds one by one, by containment; it compares more as texts."""


def json_present(operand: JSONColumn) -> Condition:
    """The value exists and is not null."""
    return NotNull(operand.kind)


def json_bounds(clause: Clause, operand: JSONColumn, now: int) -> Bounds:
    """The condition of a clause on a JSON value, at `now` (µs)."""
    present = exactly(json_present(operand))
    if clause.op == "in":
        passes, settled = _equals(clause, operand), None
    elif clause.op in LENGTH_TESTS:
        passes, settled = exactly(length_condition(clause, ListLength(operand.list))), None
    elif clause.op in WINDOWS:
        passes, settled = _in_windows(clause, operand, now), _beyond_double(operand)
    elif clause.op in _COMPARISONS | _DATES:
        limit = limit_of(clause.op, clause.values)
        if limit is None:
            passes, settled = exactly(False), None
        else:
            passes, settled = _compares(clause.op, limit, operand), _beyond_double(operand)
    else:
        passes, settled = _either_way(operand, lambda at: _texts(clause, at)), None
    if not clause.negate:
        # A value that passes exists.
        return passes
    parts = [present, inverse(passes)]
    if settled is not None:
        parts.append(exactly(negation(settled)))
    return both(parts)


def _either_way(operand: JSONColumn, test: Callable[[JSONColumn], Bounds]) -> Bounds:
    """The value itself passes, or an element of it."""
    return either([test(operand), _lifted(operand, test(ELEMENT))])


def _lifted(operand: JSONColumn, bounds: Bounds, *stops: Condition) -> Bounds:
    lower = _any_element(operand, bounds.lower, *stops)
    upper = lower if bounds.exact else _any_element(operand, bounds.upper, *stops)
    return Bounds(lower=lower, upper=upper, reasons=bounds.reasons)


def _any_element(operand: JSONColumn, holds: Condition, *stops: Condition) -> Condition:
    if holds is False or not operand.source.may_be_list(operand):
        return False
    parts = [to_expression(one) for one in (holds, *stops)]
    return AnyElement(operand.list, *parts)


def _is(operand: JSONColumn, *kinds: Kind) -> Condition:
    return KindIs(operand.kind, kinds) if kinds else False


def _texts(clause: Clause, operand: JSONColumn) -> Bounds:
    is_text = _is(operand, "string")
    return text_bounds(clause, operand.text, is_text=is_text)


# --- Comparisons -------------------------------------------------------------------------------


def _compares(op: str, limit: Limit, operand: JSONColumn) -> Bounds:
    def test(at: JSONColumn) -> Bounds:
        found = exactly(Compare(at.double, limit.symbol, limit.number))
        if op not in _DATES:
            return found
        why = f"SQL cannot read dates in texts ({op})"
        return either([found, unknown(why, at_most=_is(at, "string"))])

    stops = BeyondDouble(EARLIER.type_sql, EARLIER.value)
    return either([test(operand), _lifted(operand, test(ELEMENT), stops)])


def _in_windows(clause: Clause, operand: JSONColumn, now: int) -> Bounds:
    def test(at: JSONColumn) -> Bounds:
        found = numbers_in_windows(clause, at.double, now, at_most=_is(at, "number"))
        why = f"SQL cannot read dates in texts ({clause.op})"
        return either([found, unknown(why, at_most=_is(at, "string"))])

    stops = BeyondDouble(EARLIER.type_sql, EARLIER.value)
    return either([test(operand), _lifted(operand, test(ELEMENT), stops)])


def numbers_in_windows(
    clause: Clause, number: Any, now: int, *, at_most: Condition = True
) -> Bounds:
    """A number of milliseconds is in a window; `at_most`: true where the expression is a number."""
    found: Condition = False
    for window in WINDOWS[clause.op](clause.values):
        if not isinstance(window, RangeWindow):
            why = f"SQL does not read the day of the year from numbers ({clause.op})"
            return unknown(why, at_most=at_most)
        limits = (Compare(number, symbol, limit) for symbol, limit in doubles_in(window, now))
        found = any_of([found, all_of(limits)])
    return exactly(found)


def length_condition(clause: Clause, length: Any) -> Condition:
    """A length, as an expression, is within the limit of the clause."""
    limit = length_limit(clause.op, clause.values)
    symbol = "<=" if clause.op == "hasAtMost" else ">="
    return False if limit is None else Compare(length, symbol, limit)


def _beyond_double(operand: JSONColumn) -> Condition:
    """The value, or an element of it, is an integer beyond a double."""
    here = BeyondDouble(operand.kind, operand.value)
    inside = _any_element(operand, BeyondDouble(ELEMENT.type_sql, ELEMENT.value))
    return any_of([here, inside])


# --- Equality ----------------------------------------------------------------------------------


def _equals(clause: Clause, operand: JSONColumn) -> Bounds:
    values = clause.values
    texts = tuple(
        dict.fromkeys(one for one in values if isinstance(one, str) and text_problem(one) is None)
    )
    folded = exactly(False)
    if clause.ignore_case:
        texts, folded = (), _either_way(operand, lambda at: _texts(clause, at))
    booleans = tuple(sorted({one for one in values if isinstance(one, bool)}))
    numbers = [one for one in values if isinstance(one, int | float) and is_number(one)]
    return either(
        [
            exactly(_contained(texts, booleans, operand)),
            folded,
            _either_way(operand, lambda at: _one_of_numbers(numbers, at)),
            _one_of_others(values, operand),
        ]
    )


def _contained(
    texts: tuple[str, ...], booleans: tuple[bool, ...], operand: JSONColumn
) -> Condition:
    def test(at: JSONColumn) -> Condition:
        constants = (IsConstant(at.kind, at.value, one) for one in booleans)
        return any_of([OneOf(at.text_among(texts), texts) if texts else False, *constants])

    here, inside = test(operand), _any_element(operand, test(ELEMENT))
    otherwise = any_of([here, inside])
    sought: tuple[str | bool, ...] = (*texts, *booleans)
    if otherwise is False or operand.document is None or len(sought) > MOST_CONTAINED:
        return otherwise
    return Holds(operand.document, to_expression(otherwise), operand.path, sought)


def _one_of_numbers(numbers: Sequence[int | float], operand: JSONColumn) -> Bounds:
    integers = {int(one) for one in numbers if _whole(one) and int(one) in _INTEGERS}
    doubles = {
        double for one in numbers if _exact_in_sql(one) and (double := _double(one)) is not None
    }
    found: Condition = False
    if integers or doubles:
        found = NumberIn(
            operand.kind, operand.value, tuple(sorted(integers)), tuple(sorted(doubles))
        )
    if all(_exact_in_sql(one) for one in numbers):
        return exactly(found)
    why = "SQL does not compare numbers beyond 64 bits, or near 0, exactly (in)"
    return either([exactly(found), unknown(why, at_most=_is(operand, "number"))])


def _whole(number: int | float) -> bool:
    return isinstance(number, int) or number.is_integer()


def _double(number: int | float) -> float | None:
    """The double that Python reads as this number, if a finite one is: see `normalised`."""
    try:
        double = float(number)
    except OverflowError:
        return None
    return double if math.isfinite(double) and normalised(double) == number else None


def _exact_in_sql(number: int | float) -> bool:
    if isinstance(number, float) and not math.isfinite(number):
        return math.isnan(number)  # NaN equals nothing.
    if _whole(number):
        return int(number) in _INTEGERS
    return abs(number) >= TINY


def _one_of_others(values: Sequence[JSONValue], operand: JSONColumn) -> Bounds:
    """Null can equal only an element; Python compares objects and lists."""
    nulls: Condition = False
    if any(one is None for one in values):
        nulls = _any_element(operand, _is(ELEMENT, "null"))
    why = "SQL does not compare lists and objects (in)"
    kinds: list[Kind] = []
    if any(isinstance(one, dict) for one in values):
        kinds.append("object")
    here = unknown(why, at_most=_is(operand, *kinds))
    if any(isinstance(one, list | tuple) for one in values):
        kinds.append("array")
    inside = unknown(why, at_most=_any_element(operand, _is(ELEMENT, *kinds)))
    return either([exactly(nulls), here, inside])
