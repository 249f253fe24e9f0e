"""Checks of the stored segments; only with `manage.py check --database default`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.core.checks import CheckMessage, Tags, register
from django.db import connections
from django.utils.module_loading import import_string

from featureflags.models import Segment


@register("featureflags", Tags.database)
def check_segments(databases: Collection[str] | None = None, **_: Any) -> list[CheckMessage]:
    """W011: a stored segment no longer validates, after the catalogue or the kind's model changed
    or a write past us.

    Only with `manage.py check --database default`: one query for each kind, and one.
    """
    messages: list[CheckMessage] = []
    for alias in databases or ():
        if Segment._meta.db_table in connections[alias].introspection.table_names():
            messages += _broken_segments(alias)
    return messages


def _broken_segments(alias: str) -> list[CheckMessage]:
    """Imported only with a database: no start needs the SQL of segments."""
    return list(import_string("featureflags.checks.broken_segments.broken_segments")(alias))
