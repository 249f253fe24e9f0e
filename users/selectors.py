"""From rows to snapshots. Past this point nobody has seen the ORM.

Hidden SQL: `snapshot_of` reads the groups of a user that was loaded without `with_group_names`
and without prefetching them; the others are one query each.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from users.models import User
from users.querysets import UserQuerySet
from users.snapshots import UserSnapshot
from users.times import to_microseconds

COLUMNS = (
    "pk",
    "email",
    "email_verified",
    "name",
    "role",
    "is_staff",
    "is_active",
    "created_at",
    "last_seen_at",
    "metadata",
    "group_names",
)


def snapshot_of(user: User) -> UserSnapshot:
    """The snapshot of a user that is loaded already, as it is: unsaved changes included."""
    return UserSnapshot(
        key=str(user.pk),
        email=user.email.lower(),
        email_verified=user.email_verified,
        name=user.name,
        role=str(user.role),
        is_staff=user.is_staff,
        is_active=user.is_active,
        created_at=to_microseconds(user.created_at),
        last_seen_at=None if user.last_seen_at is None else to_microseconds(user.last_seen_at),
        groups=tuple(sorted(_group_names(user))),
        metadata=dict(user.metadata),
    )


def snapshots_by_key(keys: Iterable[str]) -> dict[str, UserSnapshot]:
    """Snapshots of those users that exist, by key; one query. A key that is no UUID has none."""
    ids = [found for key in keys if (found := _as_uuid(key)) is not None]
    if not ids:
        return {}
    return {found.key: found for found in snapshots(User.objects.filter(pk__in=ids))}


def snapshots(users: UserQuerySet) -> list[UserSnapshot]:
    """Snapshots of all users of a queryset, in its order; one query."""
    return [_from_row(row) for row in users.with_group_names().values_list(*COLUMNS)]


def find_user(email_or_id: str) -> User | None:
    """The user with that key or that e-mail in any case; their groups come with the row."""
    users = User.objects.with_group_names()
    key = _as_uuid(email_or_id)
    found: User | None = users.filter(
        **({"email": email_or_id} if key is None else {"pk": key})
    ).first()
    return found


def _from_row(row: tuple[Any, ...]) -> UserSnapshot:
    pk, email, verified, name, role, staff, active, created, seen, metadata, groups = row
    return UserSnapshot(
        key=str(pk),
        email=email,
        email_verified=verified,
        name=name,
        role=role,
        is_staff=staff,
        is_active=active,
        created_at=to_microseconds(created),
        last_seen_at=None if seen is None else to_microseconds(seen),
        groups=tuple(sorted(groups)),
        metadata=metadata,
    )


def _group_names(user: User) -> Iterable[str]:
    known: list[str] | None = user.__dict__.get("group_names")
    if known is not None:
        return known
    if user._state.adding:  # noqa: SLF001 - Django's documented state
        return ()
    return [group.name for group in user.groups.all()]


def _as_uuid(key: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(key)
    except ValueError:
        return None
