"""Many conditions counted in one pass over the users, with each expression computed once per user.

    SELECT COUNT(*) FILTER (WHERE c1), COUNT(*) FILTER (WHERE c2), …
    FROM (SELECT *, what is derived FROM (SELECT what the conditions look at FROM users))

Databases would copy the expressions of such subqueries into each condition, and look a JSON key
up once for each that asks for it, were it not for a fence: `OFFSET 0` on SQLite and for few rows, and on
PostgreSQL a `UNION ALL` with nothing, which unlike `OFFSET 0` lets workers share the pass. It has the
source twice, and so each parameter: the keys of a sample cost more than the pass over their rows then.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import ExitStack
from typing import Any, Final

from django.db import DatabaseError, connections, transaction
from django.db.models import BooleanField, Expression, Field, IntegerField, QuerySet, TextField

from featureflags.audience.sql.bounds import Condition, any_of, to_expression
from featureflags.audience.sql.expressions import Name, Part, Present, Sql, TextPart, Written
from featureflags.audience.sql.json_values import JSONAt, JSONTextAt, JSONTypeAt, TypeOf
from featureflags.audience.sql.operands import JSONColumn

_SQLITE: Final = "SELECT {columns} FROM ({source}) AS {name} LIMIT -1 OFFSET 0"
_POSTGRESQL: Final = (
    "SELECT {columns} FROM ({source}) AS {name}"
    " UNION ALL SELECT {columns} FROM ({source}) AS {name} WHERE FALSE"
)
_POSTGRESQL_FEW: Final = "SELECT {columns} FROM ({source}) AS {name} OFFSET 0"
_STATEMENT: Final = "SELECT {columns} FROM ({source}) AS people"


class _Counts(Written):
    """The number of rows, and for each condition the number that fulfil it."""

    output_field = IntegerField()

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        del sqlite
        written = [part(place) for place in range(len(self.parts))]
        counts = ["COUNT(*)", *(f"COUNT(*) FILTER (WHERE {sql})" for sql, _ in written)]
        return ", ".join(counts), [one for _, params in written for one in params]


class _Together(Written):
    """Each condition, and the number of rows."""

    output_field = IntegerField()

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        del sqlite
        written = [part(place) for place in range(len(self.parts))]
        columns = [f"{sql} AS k{place}" for place, (sql, _) in enumerate(written)]
        return ", ".join([*columns, "COUNT(*)"]), [one for _, params in written for one in params]


MOST_COLUMNS: Final = 1_600
"""PostgreSQL takes 1,664 columns in a SELECT, SQLite 2,000 of a result."""

JIT_CONDITIONS: Final = 100
"""From here on PostgreSQL would compile a pass, which costs more than it saves: 1.7 times the time."""


class TooWide(DatabaseError):
    """The conditions need more columns than a statement may have."""


class Columns:
    """A source whose expressions are the columns of a subquery, each of them once.

    What is derived from them (the text of a JSON value, say) are columns of a second one around
    it, so that a JSON key is looked up once for each user.

    Metadata seldom hold lists, and PostgreSQL does not share a pass among workers if conditions
    ask for the elements of one. So a pass is first tried as if there were none (`lists` is
    False), and counts those that there are.
    """

    def __init__(self, users: QuerySet[Any], *, lists: bool, few: bool = False) -> None:
        self._users = users
        self._lists = lists
        self._few = few
        self._taken_for_none: dict[str, Condition] = {}
        self._sqlite = connections[users.db].vendor == "sqlite"
        self._taken = _Named("c")
        self._derived = _Named("d")

    def take(self, expression: Any, output_field: Field[Any, Any]) -> Any:
        """The column of an expression."""
        return self._taken.name(expression, expression, output_field)

    def take_rows(self, some: Expression) -> Expression:
        """The column that is true if such a row exists."""
        return self._taken.name(some, some, BooleanField())

    def take_json(self, document: Any, path: tuple[str, ...]) -> tuple[Any, Any]:
        """The type and the value at a path."""
        value = self.take(JSONAt(document, path), TextField())
        if self._sqlite:
            return self.take(JSONTypeAt(document, path), TextField()), value
        return TypeOf(value), value

    def derive(self, expression: Any, output_field: Field[Any, Any]) -> Any:
        """The column of an expression on other columns."""
        if isinstance(expression, Name):
            return expression
        return self._derived.name(expression, expression, output_field)

    def take_written(self, document: Any, path: tuple[str, ...]) -> Any:
        """The value as text, on PostgreSQL."""
        return None if self._sqlite else self.take(JSONTextAt(document, path), TextField())

    def may_be_list(self, operand: JSONColumn) -> bool:
        """True if the pass looks into lists; if not, it counts the users who may have one here."""
        if self._lists:
            return True
        if operand.written is None:
            sign: Condition = Present(operand.list)
        else:
            # A text may begin in the same way: then the second pass is unneeded and harmless.
            sign = TextPart(operand.written, "startsWith", "[")
        self._taken_for_none[operand.value.name] = sign
        return False

    @property
    def has_list(self) -> Condition:
        """True if a user may have a list where the conditions assumed none."""
        return any_of(self._taken_for_none.values())

    def fits(self, conditions: Sequence[Condition]) -> bool:
        """True if databases take so many columns in one statement."""
        taken, derived = len(self._taken.expressions), len(self._derived.expressions)
        return max(taken + derived, len(conditions)) <= MOST_COLUMNS

    def statement(self, conditions: Sequence[Condition]) -> tuple[str, list[Any]]:
        """The number of users, and for each condition on the columns the number that fulfil it."""
        return self._statement(_Counts(*map(to_expression, conditions)))

    def combinations(self, conditions: Sequence[Condition]) -> tuple[str, list[Any]]:
        """Whether these conditions on the columns hold, and the number of users, by combination."""
        sql, params = self._statement(_Together(*map(to_expression, conditions)))
        places = ", ".join(str(place) for place in range(1, len(conditions) + 1))
        return f"{sql} GROUP BY {places}", params

    def _statement(self, selected: Written) -> tuple[str, list[Any]]:
        columns, params = self._compiled(selected)
        taken = self._taken.expressions
        users = self._users.order_by().annotate(**taken).values_list(*(taken or ("pk",)))
        inner, inner_params = users.query.sql_with_params()
        source, source_params = self._fenced("*", [], inner, list(inner_params), "taken")
        derived, derived_params = self._derivations()
        source, source_params = self._fenced(
            derived, derived_params, source, source_params, "found"
        )
        sql = _STATEMENT.format(columns=columns, source=source)
        return sql, [*params, *source_params]

    def _fenced(
        self, columns: str, params: list[Any], source: str, source_params: list[Any], name: str
    ) -> tuple[str, list[Any]]:
        """A subquery whose columns a planner does not copy into the conditions that use them."""
        every = [*params, *source_params]
        template = _SQLITE if self._sqlite else _POSTGRESQL_FEW
        if not self._sqlite and not self._few:
            template, every = _POSTGRESQL, every * 2
        return template.format(columns=columns, source=source, name=name), every

    def _derivations(self) -> tuple[str, list[Any]]:
        columns: list[str] = ["*"]
        params: list[Any] = []
        for name, expression in self._derived.expressions.items():
            sql, its_params = self._compiled(expression)
            columns.append(f"{sql} AS {name}")
            params += its_params
        return ", ".join(columns), params

    def _compiled(self, part: Any) -> tuple[str, Sequence[Any]]:
        query = self._users.query.clone()
        sql, params = query.get_compiler(self._users.db).compile(part.resolve_expression(query))
        return sql, params


class _Named:
    """Expressions under short names, each of them once."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._names: dict[Hashable, str] = {}
        self.expressions: dict[str, Any] = {}

    def name(self, key: Hashable, expression: Any, output_field: Field[Any, Any]) -> Name:
        name = self._names.setdefault(key, f"{self._prefix}{len(self._names)}")
        self.expressions.setdefault(name, expression)
        return Name(name, output_field)


def count_in_one_pass(
    users: QuerySet[Any], conditions: Callable[[Columns], Sequence[Condition]]
) -> list[int]:
    """The number of users, and for each condition on the columns the number that fulfil it.

    `conditions` builds them for given columns. It is called again, and the pass is
    made again, where a user turns out to have a list. Raises TooWide.
    """
    columns = Columns(users, lists=False)
    built = conditions(columns)
    [[*counts, lists]] = _fetched(users, columns, Columns.statement, [*built, columns.has_list])
    if lists == 0:
        return counts
    columns = Columns(users, lists=True)
    [[*counts]] = _fetched(users, columns, Columns.statement, conditions(columns))
    return counts


def count_combinations(
    users: QuerySet[Any],
    conditions: Callable[[Columns], Sequence[Condition]],
    *,
    few: bool = False,
) -> dict[tuple[bool, ...], int]:
    """The number of users for each combination of conditions that hold; as `count_in_one_pass`.

    The statement has each condition once, where one count for each combination would repeat them.
    `few`: it reads so few rows, by their keys, that workers would not help.
    """
    columns = Columns(users, lists=False, few=few)
    built = conditions(columns)
    rows = _fetched(users, columns, Columns.combinations, [*built, columns.has_list])
    if any(row[-2] for row in rows):
        columns = Columns(users, lists=True, few=few)
        rows = _fetched(users, columns, Columns.combinations, [*conditions(columns), False])
    found: dict[tuple[bool, ...], int] = {}
    for *held, _, number in rows:
        # NULL is as good as false.
        combination = tuple(bool(one) for one in held)
        found[combination] = found.get(combination, 0) + number
    return found


def _fetched(
    users: QuerySet[Any],
    columns: Columns,
    write: Callable[[Columns, Sequence[Condition]], tuple[str, list[Any]]],
    conditions: Sequence[Condition],
) -> list[tuple[int, ...]]:
    if not columns.fits(conditions):
        raise TooWide(f"{len(conditions):,} conditions need too many columns")
    connection = connections[users.db]
    statement = write(columns, conditions)
    with ExitStack() as stack:
        cursor = stack.enter_context(connection.cursor())
        if connection.vendor == "postgresql" and len(conditions) >= JIT_CONDITIONS:
            stack.enter_context(transaction.atomic(using=users.db))
            cursor.execute("SET LOCAL jit = off")
        cursor.execute(*statement)
        return list(cursor.fetchall())
