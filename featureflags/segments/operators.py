"""What each operator does: a builder turns a clause's values into a test of one observed value.

Values are parsed once, when a clause is compiled. A value that does not fit its operator (a string
for ``lessThan``) never matches, as in LaunchDarkly. To add an operator, see CONTRIBUTING.md.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from featureflags.core.types import JSONValue
from featureflags.segments.ip_ranges import parse_address, parse_range
from featureflags.segments.letter_case import fold
from featureflags.segments.operator_labels import IGNORES_CASE
from featureflags.segments.regexes import Regex
from featureflags.segments.values import SemVer, is_number, parse_instant, parse_semver, same

_NUMBERS: Final = (int, float)

Test: TypeAlias = Callable[[object], bool]
"""True if one observed value (never a whole list, never a missing one) matches the clause.

Raises OverflowError for an integer beyond a double: the SDK fails there, we answer "no match".
"""


def never(_value: object) -> bool:
    """A test that every value fails."""
    return False


def scalar_sets(
    values: Sequence[JSONValue],
) -> tuple[frozenset[str | int | float], frozenset[bool], tuple[JSONValue, ...]]:
    """Values of ``in`` by how they are looked up: texts and numbers, booleans, all others.

    True and 1 have the same hash, so booleans need a separate set. NaN equals nothing, but a set
    would find it by identity, so it is left out.
    """
    plain: set[str | int | float] = set()
    booleans: set[bool] = set()
    others: list[JSONValue] = []
    for value in values:
        if isinstance(value, bool):
            booleans.add(value)
        elif isinstance(value, str | int | float):
            if value == value:  # noqa: PLR0124 - this is the test for NaN
                plain.add(value)
        else:
            others.append(value)
    return frozenset(plain), frozenset(booleans), tuple(others)


def _equals(values: Sequence[JSONValue]) -> Test:
    plain, booleans, others = scalar_sets(values)

    def test(value: object) -> bool:
        kind = value.__class__
        if kind is str or kind is int or kind is float:
            return value in plain
        if kind is bool:
            return value in booleans
        if isinstance(value, str):
            return str.__str__(value) in plain
        if isinstance(value, _NUMBERS):
            return value in plain
        return any(same(value, other) for other in others)

    return test


def _strings(values: Sequence[JSONValue]) -> tuple[str, ...]:
    return tuple(value for value in values if isinstance(value, str))


def _starts_with(values: Sequence[JSONValue]) -> Test:
    prefixes = _strings(values)
    return lambda value: isinstance(value, str) and value.startswith(prefixes)


def _ends_with(values: Sequence[JSONValue]) -> Test:
    suffixes = _strings(values)
    return lambda value: isinstance(value, str) and value.endswith(suffixes)


def _contains(values: Sequence[JSONValue]) -> Test:
    parts = _strings(values)
    if len(parts) == 1:
        [part] = parts
        return lambda value: isinstance(value, str) and part in value
    return lambda value: isinstance(value, str) and any(part in value for part in parts)


def _matches(values: Sequence[JSONValue], *, ignore_case: bool = False) -> Test:
    patterns = [Regex(value, ignore_case=ignore_case) for value in _strings(values)]

    def test(value: object) -> bool:
        if not isinstance(value, str):
            return False
        try:
            return any(pattern.found_in(value) for pattern in patterns)
        except UnicodeEncodeError:
            # Half a character has no UTF-8 form, which RE2 needs.
            return False

    return test


def _numbers(values: Sequence[JSONValue]) -> list[float]:
    return [
        float(value)
        for value in values
        if isinstance(value, _NUMBERS) and is_number(value) and value == value  # noqa: PLR0124
    ]


UPPER_BOUNDS: Final = frozenset({"lessThan", "lessThanOrEqual"})
LOWER_BOUNDS: Final = frozenset({"greaterThan", "greaterThanOrEqual"})


def numeric_limit(op: str, values: Sequence[JSONValue]) -> float | None:
    """The widest of several limits, which decides since any value is enough; None without one."""
    widest = max if op in UPPER_BOUNDS else min
    return widest(_numbers(values), default=None)


def _comparison(
    op: str, compare: Callable[[float, float], bool]
) -> Callable[[Sequence[JSONValue]], Test]:
    def build(values: Sequence[JSONValue]) -> Test:
        limit = numeric_limit(op, values)
        if limit is None:
            return never
        return lambda value: (
            isinstance(value, _NUMBERS)
            and value.__class__ is not bool
            and compare(float(value), limit)
        )

    return build


def _instants(values: Sequence[JSONValue]) -> list[float]:
    parsed = [parse_instant(value) for value in values]
    return [
        instant
        for instant in parsed
        if instant is not None and instant == instant  # noqa: PLR0124
    ]


def _before(values: Sequence[JSONValue]) -> Test:
    limit = max(_instants(values), default=None)
    if limit is None:
        return never

    def test(value: object) -> bool:
        instant = parse_instant(value)
        return instant is not None and instant < limit

    return test


def _after(values: Sequence[JSONValue]) -> Test:
    limit = min(_instants(values), default=None)
    if limit is None:
        return never

    def test(value: object) -> bool:
        instant = parse_instant(value)
        return instant is not None and instant > limit

    return test


def _versions(values: Sequence[JSONValue]) -> list[SemVer]:
    parsed = [parse_semver(value) for value in values]
    return [version for version in parsed if version is not None]


def _semver_equal(values: Sequence[JSONValue]) -> Test:
    versions = frozenset(_versions(values))
    # Anything but a version has the sort key None, which is never in the set.
    return lambda value: parse_semver(value) in versions


def _semver_bound(
    widest: Callable[..., SemVer | None], compare: Callable[[SemVer, SemVer], bool]
) -> Callable[[Sequence[JSONValue]], Test]:
    def build(values: Sequence[JSONValue]) -> Test:
        limit = widest(_versions(values), default=None)
        if limit is None:
            return never

        def test(value: object) -> bool:
            version = parse_semver(value)
            return version is not None and compare(version, limit)

        return test

    return build


def _in_ip_range(values: Sequence[JSONValue]) -> Test:
    ranges = [found for value in values if (found := parse_range(value)) is not None]

    def test(value: object) -> bool:
        address = parse_address(value) if isinstance(value, str) else None
        return address is not None and any(address in one for one in ranges)

    return test


VALUE_TESTS: Mapping[str, Callable[[Sequence[JSONValue]], Test]] = {
    "in": _equals,
    "startsWith": _starts_with,
    "endsWith": _ends_with,
    "contains": _contains,
    "matches": _matches,
    "lessThan": _comparison("lessThan", operator.lt),
    "lessThanOrEqual": _comparison("lessThanOrEqual", operator.le),
    "greaterThan": _comparison("greaterThan", operator.gt),
    "greaterThanOrEqual": _comparison("greaterThanOrEqual", operator.ge),
    "before": _before,
    "after": _after,
    "semVerEqual": _semver_equal,
    "semVerLessThan": _semver_bound(max, operator.lt),
    "semVerLessThanOrEqual": _semver_bound(max, operator.le),
    "semVerGreaterThan": _semver_bound(min, operator.gt),
    "semVerGreaterThanOrEqual": _semver_bound(min, operator.ge),
    "ipInRange": _in_ip_range,
}
"""The operators that test a value. ``LENGTH_TESTS`` has those on whole lists, ``moving_dates`` those on
dates that move, ``matching`` has ``exists`` and ``segmentMatch``.

A builder raises ValueError for a bad expression, OverflowError for a number beyond a double.
"""


def value_test(op: str, values: Sequence[JSONValue], *, ignore_case: bool = False) -> Test:
    """The test of an operator of VALUE_TESTS; `ignore_case` counts where the operator compares texts."""
    if not ignore_case or op not in IGNORES_CASE:
        return VALUE_TESTS[op](values)
    if op == "matches":
        return _matches(values, ignore_case=True)
    test = VALUE_TESTS[op]([fold(value) if isinstance(value, str) else value for value in values])
    return lambda value: test(fold(value) if isinstance(value, str) else value)


def _length(
    op: str, compare: Callable[[float, float], bool]
) -> Callable[[Sequence[JSONValue]], Test]:
    def build(values: Sequence[JSONValue]) -> Test:
        limit = length_limit(op, values)
        if limit is None:
            return never
        return lambda value: isinstance(value, list | tuple) and compare(len(value), limit)

    return build


def length_limit(op: str, values: Sequence[JSONValue]) -> float | None:
    """The widest of several limits of a length; None without one."""
    return (max if op == "hasAtMost" else min)(_numbers(values), default=None)


LENGTH_TESTS: Mapping[str, Callable[[Sequence[JSONValue]], Test]] = {
    "hasAtLeast": _length("hasAtLeast", operator.ge),
    "hasAtMost": _length("hasAtMost", operator.le),
}
"""The operators that test a list as a whole; only a list has a length."""
