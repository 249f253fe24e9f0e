"""SQL that Django's ORM has no expression for, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import (
    BigIntegerField,
    CharField,
    DateTimeField,
    Field,
    FloatField,
    Func,
    JSONField,
    Model,
    OuterRef,
    QuerySet,
    Subquery,
    TextField,
)
from django.db.models.expressions import F
from django.db.models.sql.compiler import SQLCompiler

from featureflags.kinds.paths import Step, reverse_path, split_path


class ManyTexts(Subquery):
    """Texts of related rows, such as the names of a user's groups, as a JSON list.

    `path` leads from the rows of the query around to a column behind at least one to-many relation.
    """

    templates: ClassVar[Mapping[str, str]] = {
        "sqlite": "(SELECT JSON_GROUP_ARRAY(related_text) FROM (%(subquery)s))",
        "postgresql": "TO_JSONB(ARRAY(%(subquery)s))",
    }

    def __init__(
        self, model: type[Model], path: str, output_field: Field[Any, Any] | None = None
    ) -> None:
        steps, column = split_path(model, path)
        rows = related_rows(steps).values(related_text=F(column.name))
        super().__init__(rows, output_field=output_field or JSONField())

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *args: Any, **extra: Any
    ) -> Any:
        template = self.templates[connection.vendor]
        return super().as_sql(compiler, connection, *args, **{"template": template, **extra})


class ManyTextsAsText(ManyTexts):
    """The same as JSON text, in half the time on PostgreSQL. NULL where there are no rows."""

    templates = {
        **ManyTexts.templates,
        "postgresql": "(SELECT JSON_AGG(related_text)::text FROM (%(subquery)s) AS texts)",
    }

    def __init__(self, model: type[Model], path: str) -> None:
        super().__init__(model, path, TextField())


def related_rows(steps: Sequence[Step]) -> QuerySet[Any]:
    """The rows behind these steps that belong to the row of the query around."""
    return QuerySet(steps[-1].model).filter(**{reverse_path(steps): OuterRef("pk")}).order_by()


class PerDatabase(Func):
    """A function of one argument with a template for each database vendor."""

    arity = 1
    templates: ClassVar[Mapping[str, str]]

    def __init__(self, argument: Any, **extra: Any) -> None:
        super().__init__(argument, **extra)

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *args: Any, **extra: Any
    ) -> Any:
        template = self.templates[connection.vendor]
        return super().as_sql(compiler, connection, *args, **{"template": template, **extra})


class JSONType(PerDatabase):
    """The JSON type of a column's value: 'object', 'array', …"""

    output_field = CharField()
    templates = {
        "sqlite": "JSON_TYPE(%(expressions)s)",
        "postgresql": "JSONB_TYPEOF(%(expressions)s)",
    }


class EmailDomain(PerDatabase):
    """The part of an address after the last @; NULL if it is empty.

    There is an index on this very expression: change both together.
    """

    output_field = CharField()
    templates = {
        # Strips everything but @ from the right end, and takes what was stripped.
        "sqlite": (
            "NULLIF(SUBSTR(%(expressions)s, LENGTH(RTRIM(%(expressions)s,"
            " REPLACE(%(expressions)s, '@', ''))) + 1), '')"
        ),
        "postgresql": "NULLIF(SPLIT_PART(%(expressions)s, '@', -1), '')",
    }


_UUID_PARTS = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
"""Start and length of each part: SQLite stores a UUID as 32 digits."""


class Exact(PerDatabase):
    """A text that is compared by its characters, whatever the collation of its column takes for equal."""

    output_field = CharField()
    templates = {
        "sqlite": "(%(expressions)s COLLATE BINARY)",
        "postgresql": '(%(expressions)s COLLATE "C")',
    }


class UUIDText(PerDatabase):
    """A UUID as Python writes it."""

    output_field = CharField()
    templates = {
        "sqlite": "("
        + " || '-' || ".join(f"SUBSTR(%(expressions)s, {start}, {n})" for start, n in _UUID_PARTS)
        + ")",
        "postgresql": "(%(expressions)s)::text",
    }


class NumberText(PerDatabase):
    """An integer as text."""

    output_field = CharField()
    templates = {
        "sqlite": "CAST(%(expressions)s AS TEXT)",
        "postgresql": "(%(expressions)s)::text",
    }


class FiniteDouble(PerDatabase):
    """A number as a double; NULL for what JSON cannot hold: NaN and the infinities."""

    output_field = FloatField()
    templates = {
        "sqlite": (
            "CASE WHEN ABS(%(expressions)s) <= 1.7976931348623157e308"
            " THEN CAST(%(expressions)s AS REAL) END"
        ),
        "postgresql": (
            "CASE WHEN ABS((%(expressions)s)::double precision) <= 1.7976931348623157e308"
            " THEN (%(expressions)s)::double precision END"
        ),
    }


class Midnight(PerDatabase):
    """The first instant of a date, in UTC."""

    output_field = DateTimeField()
    templates = {
        "sqlite": "(%(expressions)s || ' 00:00:00')",
        "postgresql": "((%(expressions)s)::timestamp AT TIME ZONE 'UTC')",
    }


class Plain(Func):
    """A column as the driver gives it, without the field's conversion of each value.

    Booleans are 0 and 1 on SQLite.
    """

    template = "%(expressions)s"
    output_field = TextField()
    arity = 1


class JSONText(PerDatabase):
    """A JSON value as text; SQLite stores it as text."""

    output_field = TextField()
    templates = {"sqlite": "%(expressions)s", "postgresql": "(%(expressions)s)::text"}


class ArrayTexts(PerDatabase):
    """The texts of an array, each once and sorted by their characters, as a JSON list; of NULL an empty one."""

    output_field = JSONField()
    templates = {
        "postgresql": (
            'TO_JSONB(ARRAY(SELECT DISTINCT item::text COLLATE "C" AS item'
            " FROM UNNEST(%(expressions)s) AS item WHERE item IS NOT NULL ORDER BY item))"
        ),
    }


class Microseconds(PerDatabase):
    """An instant as microseconds since the epoch, exactly, as `featureflags.core.times.to_microseconds`."""

    output_field = BigIntegerField()
    templates = {
        # Text in UTC, with or without a fraction, which STRFTIME would round to milliseconds.
        "sqlite": (
            "(CAST(STRFTIME('%%%%s', SUBSTR(%(expressions)s, 1, 19)) AS INTEGER) * 1000000"
            " + CAST(SUBSTR(SUBSTR(%(expressions)s, 21, 6) || '000000', 1, 6) AS INTEGER))"
        ),
        # EXTRACT gives a numeric here: no digit is lost.
        "postgresql": "(EXTRACT(EPOCH FROM %(expressions)s) * 1000000)::bigint",
    }

    def get_db_converters(self, _connection: BaseDatabaseWrapper) -> list[Any]:
        """None: both drivers give an int, and Django would call int() for each."""
        return []
