"""Conditions that fold constants, and pairs of them (bounds) between which the truth lies.

SQL cannot express every clause. Bounds enclose what it cannot: a user who fulfils `lower` is in, a
user who is in fulfils `upper`. Where both are the same, the answer is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any, Final, TypeAlias

from django.db.models import BooleanField, Expression, Func, Q, Value

Condition: TypeAlias = bool | Q
"""A constant, or a Q of expressions. A Q may be NULL where it does not hold."""


class IsNotTrue(Func):
    """Holds where a condition is false or NULL."""

    template = "((%(expressions)s) IS NOT TRUE)"
    arity = 1
    output_field = BooleanField()


class Group(Func):
    """A condition in its own parentheses, which Django does not merge into the one around it."""

    template = "(%(expressions)s)"
    arity = 1
    output_field = BooleanField()


MOST_IN_A_ROW: Final = 50
"""SQLite reads `a OR b OR c …` as a tree that is as deep as the row is long: at most 1,000."""


def condition(expression: Any) -> Q:
    """A boolean expression as a Q."""
    return Q(expression)


def all_of(conditions: Iterable[Condition]) -> Condition:
    """True if there are none."""
    found = list(conditions)
    if any(one is False for one in found):
        return False
    parts = [one for one in found if isinstance(one, Q)]
    return _joined_by(and_, parts) if parts else True


def any_of(conditions: Iterable[Condition]) -> Condition:
    """False if there are none."""
    found = list(conditions)
    if any(one is True for one in found):
        return True
    parts = [one for one in found if isinstance(one, Q)]
    return _joined_by(or_, parts) if parts else False


def _joined_by(join: Callable[[Q, Q], Q], parts: list[Q]) -> Q:
    while len(parts) > MOST_IN_A_ROW:
        rows = [parts[at : at + MOST_IN_A_ROW] for at in range(0, len(parts), MOST_IN_A_ROW)]
        parts = [Q(Group(reduce(join, row))) for row in rows]
    return reduce(join, parts)


def negation(one: Condition) -> Condition:
    """Holds exactly where the condition does not: NULL counts as false."""
    return Q(IsNotTrue(one)) if isinstance(one, Q) else not one


def to_q(one: Condition) -> Q:
    """For a queryset's filter. False costs no query."""
    if isinstance(one, Q):
        return one
    return Q(Value(True, output_field=BooleanField())) if one else Q(pk__in=[])


def to_expression(one: Condition) -> Expression | Q:
    """For an annotation, or the filter of an aggregate."""
    return one if isinstance(one, Q) else Value(one, output_field=BooleanField())


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """`lower` implies the truth, `upper` is implied by it. `reasons` says why they differ.

    `size` counts the clauses inside, written once for each time that the SQL repeats them.
    """

    lower: Condition
    upper: Condition
    reasons: tuple[str, ...] = ()
    size: int = 1

    @property
    def exact(self) -> bool:
        """True if SQL expresses all of it."""
        return not self.reasons

    @property
    def doubt(self) -> Condition:
        """The users for whom SQL cannot decide."""
        return False if self.exact else all_of([self.upper, negation(self.lower)])


def exactly(one: Condition) -> Bounds:
    return Bounds(lower=one, upper=one)


def unknown(why: str, *, at_most: Condition = True) -> Bounds:
    """From nobody to `at_most`: `why` SQL cannot decide is one of the reasons."""
    if at_most is False:
        return exactly(False)
    return Bounds(lower=False, upper=at_most, reasons=(why,))


def both(parts: Iterable[Bounds]) -> Bounds:
    """All of them hold."""
    found = list(parts)
    lower = all_of(part.lower for part in found)
    return _joined(found, lower, lambda: all_of(part.upper for part in found))


def either(parts: Iterable[Bounds]) -> Bounds:
    """Any of them holds."""
    found = list(parts)
    lower = any_of(part.lower for part in found)
    return _joined(found, lower, lambda: any_of(part.upper for part in found))


def inverse(bounds: Bounds) -> Bounds:
    """It does not hold."""
    lower = negation(bounds.upper)
    upper = lower if bounds.exact else negation(bounds.lower)
    return Bounds(lower=lower, upper=upper, reasons=bounds.reasons, size=bounds.size)


def _joined(parts: list[Bounds], lower: Condition, upper: Callable[[], Condition]) -> Bounds:
    reasons = tuple(dict.fromkeys(why for part in parts for why in part.reasons))
    size = sum(part.size for part in parts)
    if not reasons:
        return Bounds(lower=lower, upper=lower, size=size)
    widest = upper()
    if isinstance(lower, bool) and lower is widest:
        return Bounds(lower=lower, upper=lower, size=size)
    return Bounds(lower=lower, upper=widest, reasons=reasons, size=size)
