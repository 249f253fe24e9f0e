"""Short calls of the protocol, and failures, for the tests of this folder."""

from __future__ import annotations

from typing import Any

import pytest

from featureflags.cache import (
    protocol,
)
from featureflags.cache.outbox import OutboxRow
from featureflags.cache.snapshot_store import CacheRead
from featureflags.capture import own_writes
from featureflags.models import OutboxEvent


def fill(source: CacheRead, *snapshots: Any) -> None:
    protocol.fill(source, snapshots, is_current=True)


def fresh(key: str) -> Any:
    return protocol.read([key]).fresh.get(key)


def notify(key: str) -> bool:
    return protocol.notify([OutboxRow(id=None, keys=(key,))])


def left_behind(key: str, rows: int = 1) -> int:
    """Rows of the outbox that a process has left that died before it could notify the cache; the id of one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own_writes, "_committed", [])
        OutboxEvent.objects.bulk_create(OutboxEvent(kind="user", keys=[key]) for _ in range(rows))
    return int(OutboxEvent.objects.latest("pk").pk)
