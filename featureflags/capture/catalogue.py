"""What a database has: the tables that watches need, with their columns, and the triggers of ours.

PostgreSQL's catalogue and SQLite's schema table are asked in one form.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from django.db.backends.base.base import BaseDatabaseWrapper

from featureflags.capture import sqlite
from featureflags.capture.statements import PREFIX, Trigger

POSTGRESQL_COLUMNS: Final = """
SELECT space.nspname, relation.relname, attribute.attname, relation.relkind IN ('r', 'p'),
    pg_catalog.format_type(attribute.atttypid, attribute.atttypmod)
FROM pg_catalog.pg_class AS relation
JOIN pg_catalog.pg_namespace AS space ON space.oid = relation.relnamespace
JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = relation.oid
WHERE relation.oid = pg_catalog.to_regclass(%s) AND attribute.attnum > 0
    AND NOT attribute.attisdropped
"""
"""Of a table as the connection's search path finds it: the schema, the name, each column, whether it can have
our triggers, and the column's type."""

SQLITE_COLUMNS: Final = """
SELECT '', '', columns.name, NOT EXISTS(
    SELECT 1 FROM sqlite_master
    WHERE name = %s AND (type = 'view' OR sql LIKE 'CREATE VIRTUAL%%')
), ''
FROM pragma_table_xinfo(%s) AS columns
"""
"""The same, generated columns too."""

POSTGRESQL_TRIGGERS: Final = f"""
SELECT trigger.tgname, space.nspname, relation.relname, trigger.tgenabled::text, function.prosrc
FROM pg_catalog.pg_trigger AS trigger
JOIN pg_catalog.pg_class AS relation ON relation.oid = trigger.tgrelid
JOIN pg_catalog.pg_namespace AS space ON space.oid = relation.relnamespace
JOIN pg_catalog.pg_proc AS function ON function.oid = trigger.tgfoid
WHERE NOT trigger.tgisinternal AND pg_catalog.starts_with(trigger.tgname, '{PREFIX}')
"""
"""Name, schema, table, when it is enabled, and the body of its function."""

SQLITE_TRIGGERS: Final = (
    f"SELECT name, '', tbl_name, 'A', sql FROM sqlite_master"
    f" WHERE type = 'trigger' AND substr(name, 1, {len(PREFIX)}) = '{PREFIX}'"
)
"""In the same form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """The tables that exist, by the names that models have for them."""

    schemas: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Schema, and name there."""
    types: dict[str, dict[str, str]] = field(default_factory=dict)
    """The type of each column; SQLite's is not asked."""
    views: set[str] = field(default_factory=set)
    """Those whose rows no trigger of ours can watch: views and tables of other servers."""

    @property
    def columns(self) -> dict[str, frozenset[str]]:
        return {table: frozenset(types) for table, types in self.types.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A trigger of ours."""

    schema: str
    table: str
    is_enabled: bool
    source: str

    def is_as(self, trigger: Trigger) -> bool:
        return f"fingerprint {trigger.fingerprint}" in self.source


def described(connection: BaseDatabaseWrapper, tables: Iterable[str]) -> Described:
    """What exists of these tables; one query for each."""
    found = Described()
    with connection.cursor() as cursor:
        for table in tables:
            if connection.vendor == "postgresql":
                cursor.execute(POSTGRESQL_COLUMNS, [connection.ops.quote_name(table)])
            else:
                cursor.execute(SQLITE_COLUMNS, [sqlite.bare(table)] * 2)
            for schema, name, column, is_table, kind in cursor.fetchall():
                found.schemas[table] = (schema, name)
                found.types.setdefault(table, {})[column] = kind
                if not is_table:
                    found.views.add(table)
    return found


def installed_in(connection: BaseDatabaseWrapper) -> dict[str, Installed]:
    """All triggers of ours, by name; one query."""
    is_postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(POSTGRESQL_TRIGGERS if is_postgresql else SQLITE_TRIGGERS)
        return {
            name: Installed(schema=schema, table=table, is_enabled=enabled == "A", source=source)
            for name, schema, table, enabled, source in cursor.fetchall()
        }
