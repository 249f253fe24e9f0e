"""Which values pass a condition, as far as it can be proven: inclusion and disjointness of conditions.

Pure. Every answer here is a proof or None: a condition with an operator or an option that this module
does not know says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from featureflags.core.types import JSONValue
from featureflags.segments.definitions import SEGMENT_MATCH, Clause
from featureflags.segments.operators import (
    LOWER_BOUNDS,
    UPPER_BOUNDS,
    VALUE_TESTS,
    Test,
    numeric_limit,
    scalar_sets,
)
from featureflags.segments.references import attribute_path
from featureflags.segments.values import SemVer, parse_instant, parse_semver

_TEXTS: Final = frozenset({"startsWith", "endsWith", "contains", "matches"})
_NUMBERS: Final = UPPER_BOUNDS | LOWER_BOUNDS
_DATES: Final = frozenset({"before", "after"})
_OLDER: Final = frozenset({"semVerLessThan", "semVerLessThanOrEqual"})
_NEWER: Final = frozenset({"semVerGreaterThan", "semVerGreaterThanOrEqual"})
_VERSIONS: Final = frozenset({"semVerEqual", *_OLDER, *_NEWER})
_RAISING: Final = _NUMBERS | _DATES
"""Tests that meet an integer beyond a double with "no match", negated or not."""

Limit: TypeAlias = float | SemVer


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """All values on one side of a limit, of one sort: numbers, instants or versions."""

    sort: str
    is_upper: bool
    limit: Limit
    includes: bool
    """True if the limit itself passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueSet:
    """The values that pass the test of a condition, before it is negated."""

    op: str
    values: tuple[JSONValue, ...]
    test: Test
    bound: Bound | None

    @property
    def raises(self) -> bool:
        return self.op in _RAISING

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(value for value in self.values if isinstance(value, str))


def path_of(clause: Clause) -> tuple[str, ...] | None:
    """The attribute that a condition reads; None if it reads none, or a bad one."""
    if clause.op == SEGMENT_MATCH:
        return None
    try:
        return attribute_path(clause.attribute, clause.context_kind)
    except ValueError:
        return None


def is_plain(clause: Clause) -> bool:
    """True if the condition has no option but those that this module knows."""
    return clause == Clause(
        attribute=clause.attribute,
        op=clause.op,
        values=clause.values,
        negate=clause.negate,
        context_kind=clause.context_kind,
    )


def value_set(clause: Clause) -> ValueSet | None:
    """What passes the condition; None if this module cannot say."""
    known = _TEXTS | _NUMBERS | _DATES | _VERSIONS | {"in"}
    if clause.op not in known or not is_plain(clause):
        return None
    try:
        return ValueSet(
            op=clause.op,
            values=clause.values,
            test=VALUE_TESTS[clause.op](clause.values),
            bound=_bound(clause.op, clause.values),
        )
    except (ValueError, OverflowError):
        return None


def includes(outer: ValueSet, inner: ValueSet) -> bool:
    """True if every value that passes `inner` is proven to pass `outer`."""
    if inner.op == "in":
        return _takes_all(outer, inner.values)
    if inner.bound is not None and outer.bound is not None:
        return _bound_includes(outer.bound, inner.bound)
    if inner.op == "semVerEqual" and outer.op in _VERSIONS:
        return _takes_all(outer, inner.values)
    within = _TEXT_INCLUSIONS.get((inner.op, outer.op))
    if within is not None:
        return all(any(within(one, other) for other in outer.texts) for one in inner.texts)
    return inner.op == outer.op and set(inner.texts) <= set(outer.texts)


def are_disjoint(one: ValueSet, other: ValueSet) -> bool:
    """True if no single value is proven to pass both."""
    for finite, rest in ((one, other), (other, one)):
        if finite.op == "in":
            return not _takes_any(rest, finite.values)
    for text, number in ((one, other), (other, one)):
        if text.op in _TEXTS | _VERSIONS and number.op in _NUMBERS:
            return True
    if one.bound is not None and other.bound is not None:
        return _are_apart(one.bound, other.bound)
    for finite, rest in ((one, other), (other, one)):
        if finite.op == "semVerEqual" and rest.op in _VERSIONS:
            return not _takes_any(rest, finite.values)
    begins = _BEGINNINGS.get(one.op) if one.op == other.op else None
    return begins is not None and not any(
        begins(a, b) or begins(b, a) for a in one.texts for b in other.texts
    )


def _takes_all(outer: ValueSet, values: Sequence[JSONValue]) -> bool:
    if outer.op == "in":
        plain, booleans, others = scalar_sets(values)
        outer_plain, outer_booleans, _ = scalar_sets(outer.values)
        if plain <= outer_plain and booleans <= outer_booleans:
            return all(map(outer.test, others))
        return False
    return all(_passes(outer, value, or_else=False) for value in values)


def _takes_any(other: ValueSet, values: Sequence[JSONValue]) -> bool:
    return any(_passes(other, value, or_else=True) for value in values)


def _passes(found: ValueSet, value: JSONValue, *, or_else: bool) -> bool:
    try:
        return found.test(value)
    except OverflowError:
        return or_else


def _bound(op: str, values: Sequence[JSONValue]) -> Bound | None:
    """Of several limits the widest decides."""
    limit: Limit | None
    is_upper = op in UPPER_BOUNDS | _OLDER | {"before"}
    widest = max if is_upper else min
    if op in _NUMBERS:
        sort, limit = "number", numeric_limit(op, values)
    elif op in _DATES:
        parsed = [parse_instant(value) for value in values]
        # NaN is the limit of nothing.
        instants = [found for found in parsed if found is not None and found == found]  # noqa: PLR0124
        sort, limit = "instant", widest(instants, default=None)
    elif op in _VERSIONS and op != "semVerEqual":
        versions = [found for value in values if (found := parse_semver(value)) is not None]
        sort, limit = "version", widest(versions, default=None)
    else:
        return None
    if limit is None:
        return None
    return Bound(sort=sort, is_upper=is_upper, limit=limit, includes=op.endswith("OrEqual"))


def _bound_includes(outer: Bound, inner: Bound) -> bool:
    if (outer.sort, outer.is_upper) != (inner.sort, inner.is_upper):
        return False
    if outer.limit == inner.limit:
        return outer.includes or not inner.includes
    return _is_below(inner.limit, outer.limit) is outer.is_upper


def _are_apart(one: Bound, other: Bound) -> bool:
    if one.sort != other.sort or one.is_upper is other.is_upper:
        return False
    upper, lower = (one, other) if one.is_upper else (other, one)
    if upper.limit == lower.limit:
        return not (upper.includes and lower.includes)
    return _is_below(upper.limit, lower.limit)


def _is_below(one: Limit, other: Limit) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return one < other
    if isinstance(one, tuple) or isinstance(other, tuple):
        return False
    return one < other


_TEXT_INCLUSIONS: Mapping[tuple[str, str], Callable[[str, str], bool]] = {
    ("startsWith", "startsWith"): str.startswith,
    ("endsWith", "endsWith"): str.endswith,
    ("startsWith", "contains"): str.__contains__,
    ("endsWith", "contains"): str.__contains__,
    ("contains", "contains"): str.__contains__,
}
"""By the inner and the outer operator: whether a text of the inner one guarantees one of the outer."""

_BEGINNINGS: Mapping[str, Callable[[str, str], bool]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
}
