"""Many conditions counted in one pass over the users, each extraction computed once for each.

    SELECT COUNT(*) FILTER (WHERE c1), COUNT(*) FILTER (WHERE c2), …
    FROM (SELECT what the conditions look at FROM users OFFSET 0)

Without `OFFSET 0` databases would copy the expressions of the subquery into each condition, and
read the same JSON key once for each that asks for it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Final

from django.db import connections
from django.db.models import BooleanField, Exists, Field, Q, QuerySet

from featureflags.sql.bounds import Condition
from featureflags.sql.expressions import Name
from users.models import User
from users.querysets import UserQuerySet

_FENCE: Final = {"sqlite": "LIMIT -1 OFFSET 0", "postgresql": "OFFSET 0"}
_STATEMENT: Final = "SELECT {counts} FROM ({users} {fence}) AS people"
_COUNT: Final = "COUNT(*) FILTER (WHERE {})"


class Columns:
    """A source whose expressions are the columns of a subquery, each of them once."""

    def __init__(self) -> None:
        self._names: dict[Hashable, str] = {}
        self._columns: dict[str, Any] = {}

    @property
    def inline(self) -> bool:
        """No: they are columns."""
        return False

    def take(self, expression: Any, output_field: Field[Any, Any]) -> Any:
        """The column of an expression."""
        return self._column(expression, expression, output_field)

    def take_rows(self, exists: Exists, key: Hashable) -> Any:
        """The column that says whether there is such a row."""
        return self._column(key, exists, BooleanField())

    def _column(self, key: Hashable, expression: Any, output_field: Field[Any, Any]) -> Name:
        name = self._names.setdefault(key, f"c{len(self._names)}")
        self._columns.setdefault(name, expression)
        return Name(f"people.{name}", output_field)

    def selected(self, users: UserQuerySet) -> QuerySet[User, Any]:
        """The users with nothing but these columns."""
        return users.order_by().annotate(**self._columns).values_list(*(self._columns or ("pk",)))


def count_in_one_pass(
    users: UserQuerySet, conditions: Sequence[Condition], columns: Columns
) -> list[int]:
    """How many users there are, and for how many each condition on the columns holds."""
    sql, params = _statement(users, conditions, columns)
    with connections[users.db].cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchone())


def _statement(
    users: UserQuerySet, conditions: Sequence[Condition], columns: Columns
) -> tuple[str, list[Any]]:
    compiler = users.query.get_compiler(users.db)
    counts, params = ["COUNT(*)"], []
    for one in conditions:
        if isinstance(one, Q):
            part, part_params = compiler.compile(one.resolve_expression(users.query.clone()))
            counts.append(_COUNT.format(part))
            params += part_params
        else:
            counts.append("COUNT(*)" if one else "0")
    inner, inner_params = columns.selected(users).query.sql_with_params()
    fence = _FENCE[connections[users.db].vendor]
    sql = _STATEMENT.format(counts=", ".join(counts), users=inner, fence=fence)
    return sql, [*params, *inner_params]
