"""Which triggers a database should have, beside those that it has.

While two releases serve, a trigger of one table notices what either of them needs: what is installed is
kept, with the columns that it watches, until `exact` is asked for. So neither an upgrade nor a way back
leaves a release without the triggers that it relies on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from django.db.backends.base.base import BaseDatabaseWrapper

from featureflags.capture import postgresql, sqlite
from featureflags.capture.catalogue import Installed, described, installed_in
from featureflags.capture.statements import OUTBOX, RULE_TABLES, Trigger
from featureflags.capture.watches import Watch
from featureflags.models import OutboxEvent
from featureflags.models.versions import RulesetVersion

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
class Plan:
    wanted: list[Trigger]
    """Those that can work."""
    absent: dict[str, str]
    """Table → what it lacks."""
    installed: dict[str, Installed]
    stray: list[str]
    """Installed, and to be removed."""
    views: list[str]
    """Watched, and no tables, so that no trigger can watch them."""

    @property
    def due(self) -> list[Trigger]:
        """Those that are missing, old or disabled, or that do not know the types of today."""
        return [
            trigger
            for trigger in self.wanted
            if fault_of(trigger, self.installed) is not None or self.is_retyped(trigger)
        ]

    @property
    def unseen(self) -> set[str]:
        """The tables whose rows may have changed without a trigger: one was missing, or a column was altered."""
        found = {trigger.table for trigger in self.due if trigger.name not in self.installed}
        return found | {trigger.table for trigger in self.wanted if self.is_retyped(trigger)}

    def is_retyped(self, trigger: Trigger) -> bool:
        """True if a column has another type than when the trigger was installed."""
        found = self.installed.get(trigger.name)
        if found is None:
            return False
        before, now = map(postgresql.types_seen, (found.source, trigger.create[0]))
        return any(before[column] != now[column] for column in before.keys() & now.keys())


def plan_for(connection: BaseDatabaseWrapper, watches: Sequence[Watch], *, exact: bool) -> Plan:
    """What these watches need there. Not `exact`: with all that other releases have installed."""
    found = described(connection, _tables(watches))
    columns, installed = found.columns, installed_in(connection)
    usable = [watch for watch in watches if watch.table in columns.keys() - found.views]
    if connection.vendor == "postgresql":
        if not exact:
            usable = [_widened(watch, installed, columns) for watch in usable]
        known = {table: found.schemas.get(table, ("", table)) for table in _tables(watches)}
        triggers = postgresql.triggers(usable, known, found.types)
    else:
        triggers = sqlite.triggers(usable)
    absent = {
        watch.table: lacking for watch in watches if (lacking := _lacking(watch.needed, columns))
    }
    wanted: list[Trigger] = []
    for trigger in triggers:
        lacking = _lacking({trigger.table: frozenset(), **dict(trigger.needed)}, columns)
        if lacking:
            absent.setdefault(trigger.table, lacking)
        else:
            wanted.append(trigger)
    stray = installed.keys() - {trigger.name for trigger in wanted}
    keeps = not exact and connection.vendor == "postgresql" and OUTBOX in columns
    return Plan(
        wanted=wanted,
        absent=absent,
        installed=installed,
        stray=[] if keeps else sorted(stray),
        views=sorted({watch.table for watch in watches} & found.views),
    )


def _widened(watch: Watch, installed: Mapping[str, Installed], columns: Columns) -> Watch:
    """The watch with the columns that its installed trigger compares, as far as the table has them."""
    found = installed.get(postgresql.update_trigger(watch))
    others = postgresql.compared_columns(found.source) if found is not None else frozenset()
    every = (others | frozenset(watch.columns)) & columns[watch.table]
    return replace(watch, columns=tuple(sorted(every)))


def _tables(watches: Iterable[Watch]) -> list[str]:
    own = [model._meta.db_table for model in (OutboxEvent, RulesetVersion)]
    watched = [table for watch in watches for table in watch.needed]
    return list(dict.fromkeys([*own, *RULE_TABLES, *watched]))


def _lacking(needed: Mapping[str, frozenset[str]], columns: Columns) -> str:
    """What is needed and the database lacks, in words; empty if nothing."""
    for table, names in needed.items():
        if table not in columns:
            return f"the table {table}"
        if missing := names - columns[table]:
            return f"{table}.{min(missing)}"
    return ""


def fault_of(trigger: Trigger, installed: dict[str, Installed]) -> Fault | None:
    found = installed.get(trigger.name)
    if found is None:
        return Fault.MISSING
    if not found.is_as(trigger):
        return Fault.OLD
    return None if found.is_enabled else Fault.DISABLED
