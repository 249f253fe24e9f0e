"""Users to warm, and what the cache has of them."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

from django.utils import timezone
from pytest_django.fixtures import Settings

from featureflags.cache import protocol, snapshot_store
from featureflags.kinds.registry import user_kind
from featureflags.kinds.snapshot import Address
from featureflags.warming.scope import Scope
from tests.factories import UserFactory
from users.models import User

EVERYBODY = Scope(days=None)
LAST_WEEK = Scope(days=7)


def seen(days_ago: float, **fields: Any) -> User:
    """A user who was here so many days ago."""
    return UserFactory.create(
        last_seen_at=timezone.now() - datetime.timedelta(days=days_ago), **fields
    )


def crowd(count: int, **fields: Any) -> list[User]:
    """Users whose keys are 1 to `count`."""
    users = [
        User(id=uuid.UUID(int=number), email=f"crowd{number}@example.com", **fields)
        for number in range(1, count + 1)
    ]
    User.objects.bulk_create(users)
    return users


def cached(*users: User) -> dict[Address, Any]:
    """What a reader would find, by key."""
    return dict(protocol.read([str(user.pk) for user in users]).fresh)


def stored(user: User) -> bytes:
    return protocol.read([str(user.pk)]).stored[str(user.pk)]


def ends_at(user: User) -> int:
    """Until when the entry of a user may be used, in seconds since the epoch."""
    entry = snapshot_store.entry_of(str(user.pk), stored(user))
    assert entry is not None
    return entry.fresh_until // 1_000_000


def as_stored(*users: User) -> dict[str, Any]:
    """What a reader should find."""
    rows = User.objects.filter(pk__in=[user.pk for user in users])
    return {str(user.pk): user_kind().snapshot_of(user) for user in rows}


def change(settings: Settings, **values: Any) -> None:
    settings.FEATUREFLAGS = {**settings.FEATUREFLAGS, **values}
