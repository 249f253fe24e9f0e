"""What both databases' triggers share: their names, fingerprints, and the SQL of one trigger."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from featureflags.capture.watches import Watch
from featureflags.models import OutboxEvent, Segment, SegmentMember
from featureflags.models.versions import RulesetVersion

PREFIX: Final = "guidon_"
"""Every trigger and function of ours begins with it, and nothing else of a project should."""

OUTBOX: Final = OutboxEvent._meta.db_table
VERSION: Final = RulesetVersion._meta.db_table
RULE_TABLES: Final = tuple(model._meta.db_table for model in (Segment, SegmentMember))
"""Any write to them makes another ruleset."""

RULES: Final = "ruleset"
"""The kind of an outbox row that says so where no INFO can (SQLite)."""

MOST_KEYS: Final = 250_000
"""More changed keys than this in one statement are recorded as "everybody of the kind"."""
KEYS_IN_A_ROW: Final = 5_000
"""Of the outbox: the process that notifies the cache holds only one row in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One trigger, and how it is made and removed."""

    name: str
    """Unique in the database, at most 63 bytes."""
    table: str
    create: tuple[str, ...]
    """Statements, to be run in this order. PostgreSQL's function comes first."""
    fingerprint: str
    """Of the statements: an installed trigger with another one is old."""
    needed: tuple[tuple[str, frozenset[str]], ...]
    """Tables and their columns, without which the trigger would not work."""


def quote(name: str) -> str:
    """An identifier as both databases take it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text constant as both databases take it."""
    return "'" + text.replace("'", "''") + "'"


def trigger_name(event: str, table: str, watch: Watch | None = None, head: str = "") -> str:
    """A short name: PostgreSQL cuts names at 63 bytes without a word, and two would become one.

    `head` is what only a new trigger can change; the rest is replaced with its function.
    """
    parts = (watch.kind, watch.start, watch.path) if watch is not None else ("rules",)
    about = repr((table, *parts, head))
    return f"{PREFIX}{event}_{hashlib.blake2b(about.encode(), digest_size=10).hexdigest()}"


def fingerprint(statements: Iterable[str]) -> str:
    """Changes whenever any statement does."""
    return hashlib.blake2b("\n".join(statements).encode(), digest_size=10).hexdigest()


def version_defaults() -> dict[str, str]:
    """The columns of a new row of the ruleset version but its token, and their values in SQL."""
    values: dict[str, str] = {}
    for field in RulesetVersion._meta.concrete_fields:
        if field.name in {"id", "token"}:
            continue
        value = 2 if field.name == "number" else field.get_default()
        values[str(field.column)] = str(value) if isinstance(value, int) else literal(str(value))
    return {"id": "1", **values}
