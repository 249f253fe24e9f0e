"""Listens to each new connection, and keeps the triggers through `migrate`."""

from __future__ import annotations

import logging
from typing import Any

from django.apps import AppConfig
from django.db import DatabaseError, connections
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate, pre_migrate

from featureflags.capture import checks as checks
from featureflags.capture import installation, listeners, without_triggers
from featureflags.core.conf import app_settings

logger = logging.getLogger(__name__)

APP = "featureflags"
COMMAND = "manage.py capture_triggers --install"


def connect() -> None:
    """Connect the receivers; called once, when the apps are ready."""
    connection_created.connect(_listen, dispatch_uid="featureflags.capture.listen")
    pre_migrate.connect(_before_migrate, dispatch_uid="featureflags.capture.before")
    post_migrate.connect(_after_migrate, dispatch_uid="featureflags.capture.after")
    if not app_settings().triggers:
        without_triggers.connect()


def _listen(connection: Any, **_: Any) -> None:
    listeners.attach(connection)


def _before_migrate(sender: AppConfig, using: str, plan: Any = None, **_: Any) -> None:
    """SQLite rebuilds tables, and refuses to change columns that a trigger names."""
    if sender.label == APP and plan and connections[using].vendor == "sqlite":
        installation.remove(connections[using])


def _after_migrate(sender: AppConfig, using: str, **_: Any) -> None:
    """Install what is missing or old. Where that is not allowed, `migrate` has succeeded all the same."""
    if sender.label != APP or not app_settings().triggers:
        return
    try:
        installation.install(connections[using], exact=False)
    except DatabaseError as error:
        logger.warning(
            "The triggers that see every write were not installed (%s). Run `%s`, or have the "
            "tables' owner run what `--sql` prints. Until then writes are not seen. Where the "
            "application may create none for good, set FEATUREFLAGS['TRIGGERS'] to False.",
            str(error).strip(),
            COMMAND,
        )
