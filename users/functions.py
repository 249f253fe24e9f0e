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
