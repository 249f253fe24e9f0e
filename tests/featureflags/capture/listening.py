"""A listener that records, and a write of one user."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from featureflags.capture.own_writes import Written
from featureflags.models import OutboxEvent

on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL")


class Listener:
    """Records what is noted and notified, and deletes the outbox rows as the cache would."""

    def __init__(self) -> None:
        self.noted: list[tuple[str | None, list[str] | None]] = []
        self.notified: list[Written] = []
        self.states: list[bool] = []

    def note(self, kind: str | None, keys: Any) -> None:
        self.noted.append((kind, None if keys is None else list(keys)))

    def notify(self, using: str, written: Written) -> None:
        self.notified.append(written)
        self.states.append(connection.in_atomic_block)
        OutboxEvent.objects.using(using).filter(pk__in=written.rows + written.unread).delete()

    @property
    def keys(self) -> set[str]:
        return set().union(*(written.keys.get("user", set()) for written in self.notified))


UPDATE = "UPDATE users_user SET name = 'x' WHERE email = 'ada@example.com'"
