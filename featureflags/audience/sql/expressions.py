"""SQL on text, numbers and keys, on SQLite and PostgreSQL alike.

Strings compare case-sensitively; Django's own lookups ignore case on SQLite.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Expression, Field, Func, TextField
from django.db.models.sql.compiler import SQLCompiler

Sql: TypeAlias = tuple[str, list[Any]]
Part: TypeAlias = Callable[[int], Sql]
"""The SQL and parameters of a source of an expression, by its place."""


MOST_MARKS: Final = 20
"""Values that are a parameter each; SQLite gets more of them as one JSON list."""

TINY: Final = 1e-60
"""SQLite reads a smaller fraction from a text as its neighbour."""


class Written(Func):
    """An expression that writes its own SQL."""

    def as_sql(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        *_args: Any,
        **_options: Any,
    ) -> Any:
        def part(place: int) -> Sql:
            sql, params = compiler.compile(self.source_expressions[place])
            return sql, list(params)

        return self.write(part, sqlite=connection.vendor == "sqlite")

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        """The SQL, for SQLite or else for PostgreSQL."""
        raise NotImplementedError


class Name(Expression):
    """A column by its name alone, of a subquery that we have written ourselves."""

    def __init__(self, name: str, output_field: Any) -> None:
        super().__init__(output_field=output_field)
        self.name = name

    def as_sql(self, *_args: Any, **_options: Any) -> Any:
        return self.name, []


class Text(Func):
    """An expression as plain text, for which no model field prepares (lower-cases) the other side."""

    template = "%(expressions)s"
    arity = 1
    output_field = TextField()


class Present(Func):
    """The expression is not NULL."""

    template = "((%(expressions)s) IS NOT NULL)"
    arity = 1
    output_field = BooleanField()


class OneOf(Written):
    """A column is one of these texts, or of these numbers.

    Many are one parameter on SQLite, which takes at most 250,000 in a query.
    """

    output_field = BooleanField()
    arity = 1
    sqlite: Final = "({column} IN (SELECT value FROM JSON_EACH(%s){others}))"

    def __init__(self, column: Any, values: tuple[str | int | float, ...], **extra: Any) -> None:
        super().__init__(column, **extra)
        self.values = values

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        sql, params = part(0)
        if not sqlite or len(self.values) <= MOST_MARKS:
            marks = ", ".join(["%s"] * len(self.values))
            return f"({sql} IN ({marks}))", [*params, *self.values]
        # SQLite reads some tiny fractions from JSON as their neighbours.
        tiny = [one for one in self.values if isinstance(one, float) and 0 < abs(one) < TINY]
        listed = json.dumps(list(set(self.values).difference(tiny)))
        others = " UNION ALL VALUES " + ", ".join(["(%s)"] * len(tiny)) if tiny else ""
        return self.sqlite.format(column=sql, others=others), [*params, listed, *tiny]


class TextPart(Written):
    """A text begins with, ends with or contains another, non-empty one."""

    output_field = BooleanField()
    arity = 1

    sqlite: Final = {
        "startsWith": "(SUBSTR({text}, 1, {length}) = %s)",
        "endsWith": "(SUBSTR({text}, -{length}) = %s)",
        "contains": "(INSTR({text}, %s) > 0)",
    }
    postgresql: Final = {
        "startsWith": "({text} ^@ %s)",
        "endsWith": "(RIGHT({text}, {length}) = %s)",
        "contains": "(STRPOS({text}, %s) > 0)",
    }

    def __init__(self, text: Any, op: str, sought: str, **extra: Any) -> None:
        super().__init__(text, **extra)
        self.op = op
        self.sought = sought

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        sql, params = part(0)
        template = (self.sqlite if sqlite else self.postgresql)[self.op]
        return template.format(text=sql, length=len(self.sought)), [*params, self.sought]


class Compare(Written):
    """A number as a double, against a limit: `<`, `<=`, `>` or `>=`."""

    output_field = BooleanField()
    arity = 1
    template_sql: Final = (
        "(CAST({number} AS DOUBLE PRECISION) {symbol} CAST(%s AS DOUBLE PRECISION))"
    )

    def __init__(self, number: Any, symbol: str, limit: float, **extra: Any) -> None:
        super().__init__(number, **extra)
        if symbol not in {"<", "<=", ">", ">="}:
            raise ValueError(f"not a comparison: {symbol!r}")
        self.symbol = symbol
        self.limit = limit

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        del sqlite
        sql, params = part(0)
        return self.template_sql.format(number=sql, symbol=self.symbol), [*params, self.limit]


class KeyIn(Func):
    """The key is one of these, sent as one parameter, however many. `field`: of the key."""

    output_field = BooleanField()
    arity = 1

    def __init__(self, pk: Any, keys: Sequence[Any], field: Field[Any, Any], **extra: Any) -> None:
        super().__init__(pk, **extra)
        self.keys = tuple(keys)
        self.key_field = field

    def as_sql(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        *_args: Any,
        **_options: Any,
    ) -> Any:
        sql, params = compiler.compile(self.source_expressions[0])
        values = [self.key_field.get_db_prep_value(key, connection) for key in self.keys]
        if connection.vendor == "sqlite":
            return f"({sql} IN (SELECT value FROM JSON_EACH(%s)))", [*params, json.dumps(values)]  # noqa: S608 - no value is in the text
        column_type = self.key_field.rel_db_type(connection)
        return f"({sql} = ANY(%s::{column_type}[]))", [*params, values]
