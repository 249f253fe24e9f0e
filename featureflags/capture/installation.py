"""Installs, removes and inspects the triggers of a database.

    install(connection)    # after `migrate`; does nothing where all is in place
    problems(connection)   # what is missing, old or disabled: for checks and `/readyz`

A trigger whose tables or columns are absent (in the middle of a migration, or after
`migrate featureflags zero`) is left out, and an installed one whose outbox is gone is removed.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import F

from featureflags.capture import postgresql, sqlite
from featureflags.capture.catalogue import Installed
from featureflags.capture.plan import Fault, fault_of, plan_for
from featureflags.capture.statements import RULE_TABLES, Trigger
from featureflags.capture.watches import declared_watches
from featureflags.models import OutboxEvent
from featureflags.models.versions import RulesetVersion

LOCK_SECONDS: Final = 5
"""CREATE TRIGGER waits for writers of the table, and new writers wait behind it: not for longer."""


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


def is_supported(connection: BaseDatabaseWrapper) -> bool:
    """Whether this database can have the triggers."""
    return connection.vendor in {"postgresql", "sqlite"}


def statements(connection: BaseDatabaseWrapper) -> list[str]:
    """What `install` would run on an empty database, for somebody with the right to."""
    plan = plan_for(connection, declared_watches(), exact=False)
    return [line for trigger in plan.wanted for line in trigger.create]


def install(connection: BaseDatabaseWrapper, *, exact: bool = True) -> list[str]:
    """Make every trigger that is missing or old, and remove those of watches that are gone.

    Not `exact`: keep what other releases watch, which may serve beside this one (on PostgreSQL).

    Returns the names of those that were written. What was changed while a trigger was missing, and by
    another type of a column, is made up for: everybody of its kind counts as changed. Raises DatabaseError, with everything as
    it was, e.g. where the right is missing or the table stays locked for LOCK_SECONDS.
    """
    if not is_supported(connection):
        return []
    plan = plan_for(connection, declared_watches(), exact=exact)
    if not plan.stray and not plan.due:
        return []
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(postgresql.ONE_AT_A_TIME)
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        # Somebody else may have installed them while we waited.
        plan = plan_for(connection, declared_watches(), exact=exact)
        lines = [
            line for name in plan.stray for line in _removal(connection, name, plan.installed[name])
        ]
        for trigger in plan.due:
            lines += _due(connection, trigger, plan.installed.get(trigger.name))
        _run(cursor, lines)
        _make_up_for(connection, plan.unseen)
    return [trigger.name for trigger in plan.due]


def remove(connection: BaseDatabaseWrapper) -> list[str]:
    """Remove every trigger of ours, of any declaration; return their names. Raises DatabaseError."""
    if not is_supported(connection):
        return []
    installed = plan_for(connection, declared_watches(), exact=True).installed
    if installed:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            removals = (_removal(connection, *one) for one in installed.items())
            _run(cursor, [line for lines in removals for line in lines])
    return list(installed)


def problems(connection: BaseDatabaseWrapper) -> list[Problem]:
    """What is missing, old or disabled; empty if every write is seen. Two queries.

    What another release watches as well does no harm: see `has_leftovers`.

    Raises DatabaseError.
    """
    if not is_supported(connection):
        return [Problem(table="", trigger="", fault=Fault.UNSUPPORTED)]
    plan = plan_for(connection, declared_watches(), exact=False)
    found = [
        Problem(table=table, trigger="", fault=Fault.ABSENT, detail=lacking)
        for table, lacking in plan.absent.items()
    ]
    for trigger in plan.wanted:
        fault = fault_of(trigger, plan.installed)
        if fault is not None and trigger.table not in plan.absent:
            found.append(Problem(table=trigger.table, trigger=trigger.name, fault=fault))
    return found


def has_leftovers(connection: BaseDatabaseWrapper) -> bool:
    """True if another release's triggers or columns are watched too. Raises DatabaseError."""
    plan = plan_for(connection, declared_watches(), exact=True)
    faults = {fault_of(trigger, plan.installed) for trigger in plan.wanted}
    return bool(plan.stray) or not faults <= {None, Fault.MISSING}


def views(connection: BaseDatabaseWrapper) -> list[str]:
    """Watched views and tables of other servers, which no trigger can watch. Raises DatabaseError."""
    return plan_for(connection, declared_watches(), exact=False).views


def self_test(connection: BaseDatabaseWrapper) -> list[Problem]:
    """Write nothing to each watched table, and see whether its triggers say more than nothing.

    PostgreSQL: the comparison hides its errors by saying that everybody has changed. Takes the
    locks of an UPDATE, changes no row and rolls back. Raises DatabaseError.
    """
    found: list[Problem] = []
    if connection.vendor != "postgresql":
        return found
    names = connection.ops.quote_name
    plan = plan_for(connection, declared_watches(), exact=False)
    tables = {trigger.table for trigger in plan.wanted if trigger.name in plan.installed}
    for watch in declared_watches():
        if watch.table not in tables:
            continue
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            before = OutboxEvent.objects.using(connection.alias).count()
            # To its default: no value may be given to some columns.
            column = names(watch.start)
            cursor.execute(f"UPDATE {names(watch.table)} SET {column} = DEFAULT WHERE false")
            if OutboxEvent.objects.using(connection.alias).count() != before:
                found.append(Problem(table=watch.table, trigger="", fault=Fault.FAILS))
            transaction.set_rollback(True, using=connection.alias)
    return found


def _due(
    connection: BaseDatabaseWrapper, trigger: Trigger, found: Installed | None
) -> tuple[str, ...]:
    if found is None:
        return trigger.create
    if connection.vendor == "postgresql":
        # The function alone: replacing it waits for nobody. Its trigger stays as it is.
        return (trigger.create[0], *(() if found.is_enabled else trigger.create[2:]))
    return (*sqlite.removal(trigger.name), *trigger.create)


def _removal(connection: BaseDatabaseWrapper, name: str, found: Installed) -> tuple[str, ...]:
    if connection.vendor == "postgresql":
        return postgresql.removal(name, found.schema, found.table)
    return sqlite.removal(name)


def _run(cursor: CursorWrapper, lines: Sequence[str]) -> None:
    if lines and cursor.db.vendor == "postgresql":
        # One round trip.
        lines = [";\n".join(lines)]
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
