"""Empties what tests have filled: caches, and the tables of tests that commit for real."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

from django.contrib.auth.models import Group
from django.core.cache import caches
from django.core.management import call_command
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from featureflags.capture import installation
from featureflags.capture.statements import OUTBOX, VERSION
from featureflags.models import HistoryEntry, Segment

KEPT: Final = ("django_content_type", "auth_permission")
"""`migrate` has filled them, and no test should: to fill them anew is most of the time of `flush`."""
PERMISSIONS: Final = Group.permissions.through._meta.db_table
MIGRATED: Final = (
    *(model._meta.db_table for model in (Segment, HistoryEntry, Group)),
    PERMISSIONS,
)
"""Migrations make segments, their first entries of the history, and groups of editors and viewers."""
FILLED_BY_TRIGGERS: Final = (VERSION, OUTBOX)

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class New:
    """What a database held when it had just been made."""

    kept: Row | None
    """Number and last key of the kept rows; None where the rights to leave them are missing."""
    rows: dict[str, list[Row]]
    """Those of MIGRATED, by table."""
    permissions: dict[int, Row]
    """By key: what each permission is."""


_new: dict[str, New] = {}


def empty_caches(*aliases: str) -> None:
    """Empty these caches, or all of them, and not those of other test processes on the same Redis.

    django-redis' own `clear` empties the whole server.
    """
    for alias in aliases or tuple(caches):
        cache = caches[alias]
        if hasattr(cache, "delete_pattern"):
            cache.delete_pattern("*")
        else:
            cache.clear()


def remember_new(alias: str) -> None:
    """The database has just been made; see `empty_database`."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        rows = {name: _rows(cursor, name) for name in MIGRATED}
        may = connection.vendor == "sqlite" or _is_superuser(cursor)
        kept, permissions = _kept(cursor) if may else None, _permissions(cursor)
        _new[alias] = New(kept=kept, rows=rows, permissions=permissions)


def empty_database(alias: str) -> None:
    """Leave the segments that a migration made, and what Django's `flush` leaves, in a tenth of its time."""
    with without_cachalot(connections[alias]):
        _empty(alias)


@contextmanager
def without_cachalot(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """It looks for the tables of each statement, which takes as long as the statement. Caches are emptied anyway."""
    marked = cast("Any", connection)
    marked.raw = False
    try:
        yield
    finally:
        marked.raw = True


def _empty(alias: str) -> None:
    connection, new = connections[alias], _new[alias]
    with connection.cursor() as cursor:
        is_quick = _kept(cursor) == new.kept
    if not is_quick:
        call_command("flush", verbosity=0, interactive=False, database=alias, reset_sequences=False)
    with transaction.atomic(using=alias), connection.cursor() as cursor:
        if connection.vendor == "postgresql" and is_quick:
            # No trigger runs, of foreign keys or ours.
            cursor.execute("SET LOCAL session_replication_role = replica")
        _delete(cursor, connection, set(_tables(connection)).difference(FILLED_BY_TRIGGERS, KEPT))
        of_groups = new.rows[PERMISSIONS] if is_quick else _with_keys_of_today(cursor, new)
        for name, rows in {**new.rows, PERMISSIONS: of_groups}.items():
            if rows:
                places = ", ".join(["%s"] * len(rows[0]))
                cursor.executemany(f"INSERT INTO {name} VALUES ({places})", rows)
        _delete(cursor, connection, FILLED_BY_TRIGGERS)
    installation.install(connection, exact=False)


def _permissions(cursor: CursorWrapper) -> dict[int, Row]:
    cursor.execute(
        "SELECT permission.id, type.app_label, type.model, permission.codename"
        " FROM auth_permission AS permission"
        " JOIN django_content_type AS type ON type.id = permission.content_type_id"
    )
    return {key: tuple(rest) for key, *rest in cursor.fetchall()}


def _with_keys_of_today(cursor: CursorWrapper, new: New) -> list[Row]:
    """The permissions of groups, after these have been made anew: by other keys."""
    keys = {permission: key for key, permission in _permissions(cursor).items()}
    return [
        (number, group, keys[new.permissions[permission]])
        for number, group, permission in new.rows[PERMISSIONS]
    ]


def _rows(cursor: CursorWrapper, table: str) -> list[Row]:
    cursor.execute(f"SELECT * FROM {table}")
    found: list[Row] = cursor.fetchall()
    return found


def _tables(connection: BaseDatabaseWrapper) -> list[str]:
    return connection.introspection.django_table_names(only_existing=True, include_views=False)


def _delete(cursor: CursorWrapper, connection: BaseDatabaseWrapper, tables: Iterable[str]) -> None:
    statements = [f"DELETE FROM {connection.ops.quote_name(name)}" for name in tables]
    if connection.vendor == "postgresql":
        # One round trip.
        statements = ["; ".join(statements)]
    for statement in statements:
        cursor.execute(statement)


def _is_superuser(cursor: CursorWrapper) -> bool:
    cursor.execute("SELECT current_setting('is_superuser')")
    return bool(cursor.fetchone() == ("on",))


def _kept(cursor: CursorWrapper) -> Row:
    counts = (f"(SELECT COUNT(*) FROM {table}), (SELECT MAX(id) FROM {table})" for table in KEPT)
    cursor.execute(f"SELECT {', '.join(counts)}")
    return tuple(cursor.fetchone())
