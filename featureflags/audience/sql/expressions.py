"""SQL on text, numbers and keys, on SQLite and PostgreSQL alike.

Strings compare case-sensitively; Django's own lookups ignore case on SQLite.

Django resolves, copies and compiles a tree of expressions node by node, which takes seconds for a few
thousand clauses. A tree of `Written` expressions is one expression to Django: it resolves and compiles
only what the tree is built on (columns, subqueries), and each of these once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Expression, F, Field, Func, TextField
from django.db.models.sql.compiler import SQLCompiler

Sql: TypeAlias = tuple[str, list[Any]]
Part: TypeAlias = Callable[[int], Sql]
"""The SQL and parameters of a source of an expression, by its place."""


MOST_MARKS: Final = 20
"""Values that are a parameter each; SQLite gets more of them as one JSON list."""

TINY: Final = 1e-60
"""SQLite reads a smaller fraction from a text as its neighbour."""


class Written(Expression):
    """An expression that writes its own SQL, from that of its parts."""

    def __init__(self, *parts: Any) -> None:
        super().__init__()
        self.parts = [F(part) if isinstance(part, str) else part for part in parts]

    def resolve_expression(self, *args: Any, **options: Any) -> Any:
        """The tree from here down, for a query."""
        return _Tree(self).resolve_expression(*args, **options)

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        """The SQL, for SQLite or else for PostgreSQL."""
        raise NotImplementedError


class _Tree(Expression):
    """A tree of `Written`, as Django sees it: one expression over all that is not `Written` in it."""

    def __init__(self, root: Written) -> None:
        super().__init__(output_field=root.output_field)
        self._root = root
        self._leaves = list(_leaves(root))

    def get_source_expressions(self) -> list[Any]:
        return self._leaves

    def set_source_expressions(self, expressions: Sequence[Any]) -> None:
        self._leaves = list(expressions)

    def as_sql(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        *_args: Any,
        **_options: Any,
    ) -> Any:
        sqlite = connection.vendor == "sqlite"
        done: dict[int, Sql] = {}
        for original, leaf in zip(_leaves(self._root), self._leaves, strict=True):
            sql, params = compiler.compile(leaf)
            done[id(original)] = sql, list(params)

        def written(one: Any) -> Sql:
            found = done.get(id(one))
            if found is None:
                found = one.write(lambda place: written(one.parts[place]), sqlite=sqlite)
                done[id(one)] = found
            return found

        return written(self._root)


def _leaves(root: Written) -> Iterator[Any]:
    """What is not `Written` below, each object once, always in the same order."""
    pending: list[Any] = [root]
    seen: set[int] = set()
    while pending:
        one = pending.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, Written):
            pending += one.parts
        else:
            yield one


class Name(Expression):
    """A column by its name alone, of a subquery that we have written ourselves."""

    def __init__(self, name: str, output_field: Any) -> None:
        super().__init__(output_field=output_field)
        self.name = name

    def as_sql(self, *_args: Any, **_options: Any) -> Any:
        return self.name, []


class Text(Written):
    """An expression as plain text, for which no model field prepares (lower-cases) the other side."""

    output_field = TextField()

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        del sqlite
        return part(0)


class Template(Written):
    """SQL with `{}` in the place of the one part."""

    template: str

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        del sqlite
        sql, params = part(0)
        return self.template.format(sql), params


class Present(Template):
    """The expression is not NULL."""

    template = "(({}) IS NOT NULL)"
    output_field = BooleanField()


class LowerAscii(Written):
    """A text with A to Z in lower case and all else as it is, on every database and in every locale.

    An index on the same expression serves it: `LOWER(name COLLATE "C")` on PostgreSQL, `LOWER(name)` on
    SQLite.
    """

    output_field = TextField()

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        sql, params = part(0)
        return f"LOWER({sql})" if sqlite else f'LOWER({sql} COLLATE "C")', params


class IsTrue(Template):
    """A boolean is true."""

    template = "({})"
    output_field = BooleanField()


class IsFalse(Template):
    """A boolean is false."""

    template = "(NOT {})"
    output_field = BooleanField()


class Within(Written):
    """An instant, against a limit that is an expression: `<=` or `>=`."""

    output_field = BooleanField()

    def __init__(self, instant: Any, symbol: str, limit: Any) -> None:
        super().__init__(instant, limit)
        self.symbol = symbol

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        del sqlite
        (sql, params), (limit, limit_params) = part(0), part(1)
        return f"({sql} {self.symbol} {limit})", [*params, *limit_params]


class AnyRow(Written):
    """One of these rows fulfils a condition on the columns of `related`."""

    output_field = BooleanField()

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        del sqlite
        (rows, row_params), (holds, hold_params) = part(0), part(1)
        sql = f"EXISTS(SELECT 1 FROM {rows} AS related WHERE {holds})"  # noqa: S608 - no value is in the text
        return sql, [*row_params, *hold_params]


class OneOf(Written):
    """A column is one of these texts, or of these numbers.

    Many are one parameter on SQLite, which takes at most 250,000 in a query.
    """

    output_field = BooleanField()
    sqlite: Final = "({column} IN (SELECT value FROM JSON_EACH(%s){others}))"

    def __init__(self, column: Any, values: tuple[str | int | float, ...]) -> None:
        super().__init__(column)
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

    def __init__(self, text: Any, op: str, sought: str) -> None:
        super().__init__(text)
        self.op = op
        self.sought = sought

    def write(self, part: Part, *, sqlite: bool) -> Sql:
        sql, params = part(0)
        template = (self.sqlite if sqlite else self.postgresql)[self.op]
        return template.format(text=sql, length=len(self.sought)), [*params, self.sought]


class Compare(Written):
    """A number as a double, against a limit: `<`, `<=`, `>` or `>=`."""

    output_field = BooleanField()
    template_sql: Final = (
        "(CAST({number} AS DOUBLE PRECISION) {symbol} CAST(%s AS DOUBLE PRECISION))"
    )

    def __init__(self, number: Any, symbol: str, limit: float) -> None:
        super().__init__(number)
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
