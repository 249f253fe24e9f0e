"""SQL that Django's ORM has no word for, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, Func, JSONField, OuterRef, Subquery
from django.db.models.expressions import F
from django.db.models.sql.compiler import SQLCompiler


class GroupNames(Subquery):
    """The names of a user's groups as a JSON list, in the query that reads the user."""

    def __init__(self, **extra: Any) -> None:
        groups = Group.objects.filter(user=OuterRef("pk")).order_by().values("name")
        super().__init__(groups, output_field=JSONField(), **extra)

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


class JSONType(Func):
    """What kind of JSON value stands in a column: 'object', 'array', …"""

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


_UUID_PARTS = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
"""Where the parts begin, and how long they are. SQLite keeps a UUID as 32 digits."""
