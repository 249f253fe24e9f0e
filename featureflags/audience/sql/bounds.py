"""Conditions that fold constants, and pairs of them (bounds) between which the truth lies.

SQL cannot express every clause. Bounds enclose what it cannot: a user who fulfils `lower` is in, a
user who is in fulfils `upper`. Where both are the same, the answer is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from django.db.models import BooleanField, Expression, Q, Value
from django.db.models.sql.where import WhereNode

from featureflags.audience.sql.expressions import Part, Sql, Template, Written

Condition: TypeAlias = bool | Expression | Q
"""A constant, or a boolean expression, which may be NULL where it does not hold."""


class IsNotTrue(Template):
    """Holds where a condition is false or NULL."""

    template = "(({}) IS NOT TRUE)"
    output_field = BooleanField()


class Joined(Written):
    """Conditions that must all hold, or any of which is enough."""

    output_field = BooleanField()

    def __init__(self, word: Literal["AND", "OR"], *parts: Any) -> None:
        super().__init__(*parts)
        self.word = word

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        del sqlite
        written = [part(place) for place in range(len(self.parts))]
        sql = f" {self.word} ".join(sql for sql, _ in written)
        return f"({sql})", [one for _, params in written for one in params]


_TRUE: Final = Value(True, output_field=BooleanField())
_FALSE: Final = Value(False, output_field=BooleanField())

MOST_IN_A_ROW: Final = 50
"""SQLite reads `a OR b OR c …` as a tree that is as deep as the row is long: at most 1,000."""


def all_of(conditions: Iterable[Condition]) -> Condition:
    """True if there are none."""
    found = list(conditions)
    if any(one is False for one in found):
        return False
    parts = [one for one in found if not isinstance(one, bool)]
    return _joined_by("AND", parts) if parts else True


def any_of(conditions: Iterable[Condition]) -> Condition:
    """False if there are none."""
    found = list(conditions)
    if any(one is True for one in found):
        return True
    parts = [one for one in found if not isinstance(one, bool)]
    return _joined_by("OR", parts) if parts else False


def _joined_by(word: Literal["AND", "OR"], parts: list[Expression | Q]) -> Condition:
    while len(parts) > MOST_IN_A_ROW:
        rows = [parts[at : at + MOST_IN_A_ROW] for at in range(0, len(parts), MOST_IN_A_ROW)]
        parts = [Joined(word, *row) for row in rows]
    return Joined(word, *parts) if len(parts) > 1 else parts[0]


def negation(one: Condition) -> Condition:
    """Holds exactly where the condition does not: NULL counts as false."""
    return not one if isinstance(one, bool) else IsNotTrue(one)


class Where(Expression):
    """A condition as the WHERE of a query has it.

    On SQLite newer versions of Django write `(…) = true` around any other condition, which no index serves.
    """

    output_field = BooleanField()

    def __init__(self, condition: Any) -> None:
        super().__init__()
        self.condition = condition

    def resolve_expression(self, *args: Any, **options: Any) -> Any:
        return WhereNode([self.condition.resolve_expression(*args, **options)])


def to_q(one: Condition) -> Q:
    """For a queryset's filter. False costs no query."""
    if not isinstance(one, bool):
        return Q(Where(one))
    return Q(_TRUE) if one else Q(pk__in=[])


def to_expression(one: Condition) -> Expression | Q:
    """For a part of another expression."""
    return (_TRUE if one else _FALSE) if isinstance(one, bool) else one


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
