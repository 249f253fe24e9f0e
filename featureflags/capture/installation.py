"""Installs, removes and inspects the triggers of a database.

    install(connection)    # after `migrate`; does nothing where all is in place
    problems(connection)   # what is missing, old or disabled: for checks and `/readyz`

A trigger whose tables or columns are absent (in the middle of a migration, or after
`migrate featureflags zero`) is left out, and an installed one whose outbox is gone is removed.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import F

from featureflags.capture import postgresql, sqlite
from featureflags.capture.statements import RULE_TABLES, Trigger
from featureflags.capture.watches import Watch, declared_watches
from featureflags.models import OutboxEvent
from featureflags.models.versions import RulesetVersion

LOCK_SECONDS: Final = 5
"""CREATE TRIGGER waits for writers of the table, and new writers wait behind it: not for longer."""

Columns = dict[str, frozenset[str]]
"""Of each table that exists."""


class Fault(StrEnum):
    """Why a trigger does not do its work."""

    UNSUPPORTED = "the database is neither PostgreSQL nor SQLite"
    ABSENT = "a table or a column that it needs does not exist"
    MISSING = "it is not installed"
    OLD = "it was installed by another version or for other watches"
    DISABLED = "it is disabled"
    FAILS = "it fails, and so records that everybody has changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One trigger that does not do its work."""

    table: str
    trigger: str
    fault: Fault
    detail: str = ""

    def __str__(self) -> str:
        about = f" ({self.detail})" if self.detail else ""
        return f"{self.table}: the trigger {self.trigger}: {self.fault}{about}."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Installed:
    schema: str
    table: str
    is_enabled: bool
    source: str

    def is_as(self, trigger: Trigger) -> bool:
        return f"fingerprint {trigger.fingerprint}" in self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    wanted: list[Trigger]
    """Those that can work."""
    absent: dict[str, str]
    """Table → what it lacks."""
    installed: dict[str, _Installed]

    @property
    def due(self) -> list[Trigger]:
        """Those that are missing, old or disabled."""
        return [trigger for trigger in self.wanted if _fault(trigger, self.installed) is not None]

    @property
    def stray(self) -> list[str]:
        """Installed, and wanted no more."""
        return sorted(self.installed.keys() - {trigger.name for trigger in self.wanted})


def is_supported(connection: BaseDatabaseWrapper) -> bool:
    """Whether this database can have the triggers."""
    return connection.vendor in {"postgresql", "sqlite"}


def statements(connection: BaseDatabaseWrapper) -> list[str]:
    """What `install` would run on an empty database, for somebody with the right to."""
    return [line for trigger in _plan(connection).wanted for line in trigger.create]


def install(connection: BaseDatabaseWrapper) -> list[str]:
    """Make every trigger that is missing or old, and remove those of watches that are gone.

    Returns the names of those that were written. What was changed while a trigger was missing is
    made up for: everybody of its kind counts as changed. Raises DatabaseError, with everything as
    it was, e.g. where the right is missing or the table stays locked for LOCK_SECONDS.
    """
    if not is_supported(connection):
        return []
    plan = _plan(connection)
    if not plan.stray and not plan.due:
        return []
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(postgresql.ONE_AT_A_TIME)
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        # Somebody else may have installed them while we waited.
        plan = _plan(connection)
        for name in plan.stray:
            _run(cursor, _removal(connection, name, plan.installed[name]))
        for trigger in plan.due:
            _run(cursor, _due(connection, trigger, plan.installed.get(trigger.name)))
        _make_up_for(connection, {t.table for t in plan.due if t.name not in plan.installed})
    return [trigger.name for trigger in plan.due]


def remove(connection: BaseDatabaseWrapper) -> list[str]:
    """Remove every trigger of ours, of any declaration; return their names. Raises DatabaseError."""
    if not is_supported(connection):
        return []
    installed = _installed(connection)
    if installed:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            for name, found in installed.items():
                _run(cursor, _removal(connection, name, found))
    return list(installed)


def problems(connection: BaseDatabaseWrapper) -> list[Problem]:
    """What is missing, old or disabled; empty if every write is seen. Two queries.

    Raises DatabaseError.
    """
    if not is_supported(connection):
        return [Problem(table="", trigger="", fault=Fault.UNSUPPORTED)]
    plan = _plan(connection)
    found = [
        Problem(table=table, trigger="", fault=Fault.ABSENT, detail=lacking)
        for table, lacking in plan.absent.items()
    ]
    for trigger in plan.wanted:
        fault = _fault(trigger, plan.installed)
        if fault is not None:
            found.append(Problem(table=trigger.table, trigger=trigger.name, fault=fault))
    return found


def self_test(connection: BaseDatabaseWrapper) -> list[Problem]:
    """Write nothing to each watched table, and see whether its triggers say more than nothing.

    PostgreSQL: the comparison hides its errors by saying that everybody has changed. Takes the
    locks of an UPDATE, changes no row and rolls back. Raises DatabaseError.
    """
    found: list[Problem] = []
    if connection.vendor != "postgresql":
        return found
    names = connection.ops.quote_name
    tables = {trigger.table for trigger in _installed(connection).values()}
    for watch in declared_watches():
        if watch.table not in tables:
            continue
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            before = OutboxEvent.objects.using(connection.alias).count()
            column = names(watch.start)
            cursor.execute(f"UPDATE {names(watch.table)} SET {column} = {column} WHERE false")
            if OutboxEvent.objects.using(connection.alias).count() != before:
                found.append(Problem(table=watch.table, trigger="", fault=Fault.FAILS))
            transaction.set_rollback(True, using=connection.alias)
    return found


def _plan(connection: BaseDatabaseWrapper) -> _Plan:
    watches = declared_watches()
    schemas, columns = _described(connection, _tables(watches))
    usable = [watch for watch in watches if watch.table in columns]
    if connection.vendor == "postgresql":
        known = {table: schemas.get(table, "") for table in _tables(watches)}
        triggers = postgresql.triggers(usable, known)
    else:
        triggers = sqlite.triggers(usable)
    wanted: list[Trigger] = []
    absent: dict[str, str] = {}
    for watch in watches:
        if watch.table not in columns:
            absent[watch.table] = "the table"
    for trigger in triggers:
        lacking = _lacking(trigger, columns)
        if lacking:
            absent[trigger.table] = lacking
        else:
            wanted.append(trigger)
    return _Plan(wanted=wanted, absent=absent, installed=_installed(connection))


def _tables(watches: Iterable[Watch]) -> list[str]:
    own = [model._meta.db_table for model in (OutboxEvent, RulesetVersion)]
    watched = [table for watch in watches for table in watch.needed]
    return list(dict.fromkeys([*own, *RULE_TABLES, *watched]))


def _lacking(trigger: Trigger, columns: Columns) -> str:
    """What the trigger needs and the database lacks, in words; empty if nothing."""
    if trigger.table not in columns:
        return "the table"
    for table, needed in trigger.needed:
        if table not in columns:
            return f"the table {table}"
        if missing := needed - columns[table]:
            return f"{table}.{min(missing)}"
    return ""


def _described(
    connection: BaseDatabaseWrapper, tables: Sequence[str]
) -> tuple[dict[str, str], Columns]:
    schemas: dict[str, str] = {}
    columns: dict[str, set[str]] = {}
    with connection.cursor() as cursor:
        for table in tables:
            if connection.vendor == "postgresql":
                cursor.execute(postgresql.COLUMNS, [connection.ops.quote_name(table)])
            else:
                cursor.execute(sqlite.COLUMNS, [table])
            for schema, column in cursor.fetchall():
                schemas[table] = schema
                columns.setdefault(table, set()).add(column)
    return schemas, {table: frozenset(names) for table, names in columns.items()}


def _installed(connection: BaseDatabaseWrapper) -> dict[str, _Installed]:
    query = postgresql.INSTALLED if connection.vendor == "postgresql" else sqlite.INSTALLED
    with connection.cursor() as cursor:
        cursor.execute(query)
        return {
            name: _Installed(schema=schema, table=table, is_enabled=enabled == "A", source=source)
            for name, schema, table, enabled, source in cursor.fetchall()
        }


def _fault(trigger: Trigger, installed: dict[str, _Installed]) -> Fault | None:
    found = installed.get(trigger.name)
    if found is None:
        return Fault.MISSING
    if not found.is_as(trigger):
        return Fault.OLD
    return None if found.is_enabled else Fault.DISABLED


def _due(
    connection: BaseDatabaseWrapper, trigger: Trigger, found: _Installed | None
) -> tuple[str, ...]:
    if found is None:
        return trigger.create
    if connection.vendor == "postgresql":
        # The function alone: replacing it waits for nobody. Its trigger stays as it is.
        return (trigger.create[0], *(() if found.is_enabled else trigger.create[2:]))
    return (*sqlite.removal(trigger.name), *trigger.create)


def _removal(connection: BaseDatabaseWrapper, name: str, found: _Installed) -> tuple[str, ...]:
    if connection.vendor == "postgresql":
        return postgresql.removal(name, found.schema, found.table)
    return sqlite.removal(name)


def _run(cursor: CursorWrapper, lines: Iterable[str]) -> None:
    for line in lines:
        cursor.execute(line)


def _make_up_for(connection: BaseDatabaseWrapper, unwatched: set[str]) -> None:
    """Tell what may have been written while these tables had no trigger."""
    watches = declared_watches()
    kinds = {watch.kind for watch in watches if watch.table in unwatched}
    # A kind without rows, as in a new database, has no entries.
    kinds -= {w.kind for w in watches if w.is_own and _is_empty(connection, w.table)}
    OutboxEvent.objects.using(connection.alias).bulk_create(
        OutboxEvent(kind=kind, keys=None) for kind in sorted(kinds)
    )
    if unwatched & set(RULE_TABLES):
        versions = RulesetVersion.objects.using(connection.alias).filter(pk=1)
        versions.update(number=F("number") + 1, token=uuid.uuid4())


def _is_empty(connection: BaseDatabaseWrapper, table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {connection.ops.quote_name(table)} LIMIT 1")
        return cursor.fetchone() is None
