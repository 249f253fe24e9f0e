"""SQL that Django's ORM has no expression for, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

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

    templates: ClassVar[Mapping[str, str]] = {
        "sqlite": "(SELECT JSON_GROUP_ARRAY(name) FROM (%(subquery)s))",
        "postgresql": "TO_JSONB(ARRAY(%(subquery)s))",
    }

    def __init__(self, output_field: Field[Any, Any] | None = None, **extra: Any) -> None:
        groups = Group.objects.filter(user=OuterRef("pk")).order_by().values("name")
        super().__init__(groups, output_field=output_field or JSONField(), **extra)

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *args: Any, **extra: Any
    ) -> Any:
        template = self.templates[connection.vendor]
        return super().as_sql(compiler, connection, *args, **{"template": template, **extra})


class GroupNamesText(GroupNames):
    """The same as JSON text, in half the time on PostgreSQL. NULL for a user without groups."""

    templates = {
        **GroupNames.templates,
        "postgresql": "(SELECT JSON_AGG(name)::text FROM (%(subquery)s) AS groups)",
    }

    def __init__(self, **extra: Any) -> None:
        super().__init__(TextField(), **extra)


class PerDatabase(Func):
    """A function of one argument with a template for each database vendor."""

    arity = 1
    templates: ClassVar[Mapping[str, str]]

    def __init__(self, argument: str | F | BaseExpression, **extra: Any) -> None:
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


class KeyText(PerDatabase):
    """A UUID as Python writes it: LaunchDarkly's key of the user."""

    output_field = CharField()
    templates = {
        "sqlite": "("
        + " || '-' || ".join(f"SUBSTR(%(expressions)s, {start}, {n})" for start, n in _UUID_PARTS)
        + ")",
        "postgresql": "(%(expressions)s)::text",
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


class Microseconds(PerDatabase):
    """An instant as microseconds since the epoch, exactly, as `users.times.to_microseconds`."""

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
