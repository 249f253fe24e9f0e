"""SQL that Django's ORM has no word for, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import (
    BigIntegerField,
    CharField,
    Field,
    Func,
    JSONField,
    OuterRef,
    Subquery,
    TextField,
)
from django.db.models.expressions import BaseExpression, F
from django.db.models.sql.compiler import SQLCompiler


class GroupNames(Subquery):
    """The names of a user's groups as a JSON list, in the query that reads the user."""

    def __init__(self, output_field: Field[Any, Any] | None = None, **extra: Any) -> None:
        groups = Group.objects.filter(user=OuterRef("pk")).order_by().values("name")
        super().__init__(groups, output_field=output_field or JSONField(), **extra)

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> Any:
        template = "(SELECT JSON_GROUP_ARRAY(name) FROM (%(subquery)s))"
        return self.as_sql(compiler, connection, template=template, **extra)

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> Any:
        template = "TO_JSONB(ARRAY(%(subquery)s))"
        return self.as_sql(compiler, connection, template=template, **extra)


class GroupNamesText(GroupNames):
    """The same as JSON text, for many users: half the time on PostgreSQL. NULL means none."""

    def __init__(self, **extra: Any) -> None:
        super().__init__(TextField(), **extra)

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> Any:
        template = "(SELECT JSON_AGG(name)::text FROM (%(subquery)s) AS groups)"
        return self.as_sql(compiler, connection, template=template, **extra)


class JSONType(Func):
    """The type of the JSON value in a column: 'object', 'array', …"""

    output_field = CharField()
    arity = 1

    def __init__(self, column: str | F) -> None:
        super().__init__(column)

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> Any:
        return self.as_sql(compiler, connection, function="JSON_TYPE", **extra)

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> Any:
        return self.as_sql(compiler, connection, function="JSONB_TYPEOF", **extra)


class EmailDomain(Func):
    """What follows the last @ of an address; NULL if that is nothing.

    There is an index on this very expression: change both together.
    """

    output_field = CharField()
    arity = 1

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> Any:
        # Strips all that is no @ from the right, and takes what was stripped.
        template = (
            "NULLIF(SUBSTR(%(expressions)s, LENGTH(RTRIM(%(expressions)s,"
            " REPLACE(%(expressions)s, '@', ''))) + 1), '')"
        )
        return self.as_sql(compiler, connection, template=template, **extra)

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> Any:
        template = "NULLIF(SPLIT_PART(%(expressions)s, '@', -1), '')"
        return self.as_sql(compiler, connection, template=template, **extra)


class KeyText(Func):
    """A UUID as Python writes it, and as LaunchDarkly knows the user."""

    output_field = CharField()
    arity = 1

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> Any:
        parts = [f"SUBSTR(%(expressions)s, {start}, {n})" for start, n in _UUID_PARTS]
        template = "(" + " || '-' || ".join(parts) + ")"
        return self.as_sql(compiler, connection, template=template, **extra)

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> Any:
        return self.as_sql(compiler, connection, template="(%(expressions)s)::text", **extra)


class Plain(Func):
    """A column as the driver gives it, past the field's own conversion of each value.

    Booleans are 0 and 1 on SQLite.
    """

    template = "%(expressions)s"
    output_field = TextField()
    arity = 1


class JSONText(Func):
    """A JSON value as text."""

    output_field = TextField()
    arity = 1

    def __init__(self, value: str | BaseExpression, **extra: Any) -> None:
        super().__init__(value, **extra)

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> Any:
        # It is stored, and made, as text.
        return self.as_sql(compiler, connection, template="%(expressions)s", **extra)

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> Any:
        return self.as_sql(compiler, connection, template="(%(expressions)s)::text", **extra)


class Microseconds(Func):
    """An instant as microseconds since the epoch, exactly, as `users.times.to_microseconds`."""

    output_field = BigIntegerField()
    arity = 1

    def get_db_converters(self, _connection: BaseDatabaseWrapper) -> list[Any]:
        """None: both drivers give an int. Django would call int() for each."""
        return []

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> Any:
        # Text in UTC, with or without a fraction, which STRFTIME would round to milliseconds.
        template = (
            "(CAST(STRFTIME('%%%%s', SUBSTR(%(expressions)s, 1, 19)) AS INTEGER) * 1000000"
            " + CAST(SUBSTR(SUBSTR(%(expressions)s, 21, 6) || '000000', 1, 6) AS INTEGER))"
        )
        return self.as_sql(compiler, connection, template=template, **extra)

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> Any:
        # EXTRACT gives a numeric here: no digit is lost.
        template = "(EXTRACT(EPOCH FROM %(expressions)s) * 1000000)::bigint"
        return self.as_sql(compiler, connection, template=template, **extra)


_UUID_PARTS = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
"""Where the parts begin, and how long they are. SQLite keeps a UUID as 32 digits."""
