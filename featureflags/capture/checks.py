"""System checks of the triggers, with `manage.py check --database default`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.core.exceptions import FieldDoesNotExist
from django.db import DatabaseError, connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Model

from featureflags.capture.installation import is_supported, problems, views
from featureflags.capture.watches import declared_watches
from featureflags.core.conf import app_settings
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.paths import split_path
from featureflags.kinds.registry import kinds
from featureflags.models import OutboxEvent

HINT = "Run manage.py capture_triggers --install, or have the tables' owner run what --sql prints."


@register("featureflags", Tags.database)
def check_triggers(databases: Collection[str] | None = None, **_: Any) -> list[CheckMessage]:
    """W040: a trigger is missing, old or disabled: some writes are not seen. A warning, since `migrate`
    looks first and then repairs it. W042: the project has switched them off. W068: an attribute is read
    from a view. Two queries and one for each table."""
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
        return []  # E050 says so.
    try:
        found, unseen = problems(connections[alias]), views(connections[alias])
    except DatabaseError:
        return []  # Django's own checks say that the database cannot be asked.
    if found and not _is_migrated(connections[alias]):
        return []  # `migrate` looks first, and is what creates the tables and the triggers.
    messages = [
        checks.Warning(str(problem), hint=HINT, id="featureflags.W040") for problem in found
    ]
    return [*messages, *_of_views(unseen)]


def _of_views(tables: Collection[str]) -> Iterator[CheckMessage]:
    for kind in kinds():
        for name, declared in kind.declared.declared.items():
            read = set() if declared.watch else _tables_of(kind, declared.source)
            for table in sorted(read.intersection(tables)):
                text = (
                    f"The kind {kind.name!r}, {name}: {table} is a view or a table of another server, which no "
                    "trigger can watch: a change there is not noticed for up to a day."
                )
                hint = "Name the tables behind it: watch=WatchRows(model, path to the row)."
                yield checks.Warning(text, hint=hint, id="featureflags.W068")


def _tables_of(kind: CompiledKind, source: object) -> set[str]:
    """The tables that the path of an attribute reads; what cannot be used has a check of its own."""
    if not isinstance(source, str):
        return set()
    try:
        steps, _ = split_path(kind.model, source)
    except (FieldDoesNotExist, TypeError):
        return set()
    return {model._meta.db_table for model in (kind.model, *(step.model for step in steps))}


def _is_migrated(connection: BaseDatabaseWrapper) -> bool:
    """True if no migration is left to apply."""
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


@register("featureflags")
def check_router(**_: Any) -> list[CheckMessage]:
    """E042: watched rows and the outbox lie in different databases. W043: a router sends reads of
    watched rows or of the outbox to another database. No query."""
    if not settings.DATABASE_ROUTERS:
        return []
    home = router.db_for_write(OutboxEvent)
    watched = list(_watched_models())
    watched.append(OutboxEvent)
    models = {model.__name__: model for model in watched}
    found: list[CheckMessage] = [
        checks.Error(
            f"A router sends writes of {name} to {router.db_for_write(model)!r}, where no trigger can "
            f"reach the outbox in {home!r}.",
            hint="Let both go to one database.",
            id="featureflags.E042",
        )
        for name, model in models.items()
        if router.db_for_write(model) != home
    ]
    elsewhere = [
        name
        for name, model in models.items()
        if router.db_for_read(model) != router.db_for_write(model)
    ]
    if elsewhere:
        text = (
            f"A router sends reads of {', '.join(elsewhere)} to another database. The cache is filled "
            "from the primary alone."
        )
        found.append(checks.Warning(text, id="featureflags.W043"))
    return found


def _watched_models() -> Iterator[type[Model]]:
    tables = {table for watch in declared_watches() for table in watch.needed}
    for model in apps.get_models(include_auto_created=True):
        if model._meta.db_table in tables:
            yield model
