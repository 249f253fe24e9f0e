"""System checks of the triggers, with `manage.py check --database default`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.db import DatabaseError, connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from featureflags.capture.installation import Fault, is_supported, problems
from featureflags.capture.watches import declared_watches
from featureflags.core.conf import app_settings
from featureflags.models import OutboxEvent

HINT = "Run manage.py capture_triggers --install, or have the tables' owner run what --sql prints."


@register("featureflags", Tags.database)
def check_triggers(databases: Collection[str] | None = None, **_: Any) -> list[CheckMessage]:
    """E040: a trigger is missing, old or disabled: some writes are not seen. W041: the database
    has none. W042: the project has switched them off. Two queries and one for each table."""
    alias = router.db_for_write(OutboxEvent)
    if alias not in (databases or ()):
        return []
    if not app_settings().triggers:
        text = (
            "FEATUREFLAGS['TRIGGERS'] is False: update(), raw SQL and other programs are not seen."
        )
        return [
            checks.Warning(
                text, hint="Call invalidate_contexts after them.", id="featureflags.W042"
            )
        ]
    if not is_supported(connections[alias]):
        return [checks.Warning(f"{Fault.UNSUPPORTED}: no triggers.", id="featureflags.W041")]
    try:
        found = problems(connections[alias])
    except DatabaseError:
        return []  # Django's own checks say that the database cannot be asked.
    if found and not _is_migrated(connections[alias]):
        return []  # `migrate` looks first, and is what creates the tables and the triggers.
    return [checks.Error(str(problem), hint=HINT, id="featureflags.E040") for problem in found]


def _is_migrated(connection: BaseDatabaseWrapper) -> bool:
    """True if no migration is left to apply."""
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


@register("featureflags", Tags.database)
def check_router(databases: Collection[str] | None = None, **_: Any) -> list[CheckMessage]:
    """W043: watched rows and the outbox lie in different databases, or reads go elsewhere."""
    if not databases or not settings.DATABASE_ROUTERS or not declared_watches():
        return []
    if router.db_for_read(OutboxEvent) == router.db_for_write(OutboxEvent):
        return []
    text = "A router sends reads to another database. The cache is filled from the primary alone."
    return [checks.Warning(text, id="featureflags.W043")]
