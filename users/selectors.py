"""From rows to snapshots. Past this point nobody has seen the ORM.

Hidden SQL: `snapshot_of` reads the groups of a user that was loaded without `with_group_names`
and without prefetching them; the others are one query each.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from django.db.models.expressions import Combinable

from users.functions import GroupNamesText, JSONText, KeyText, Microseconds, Plain
from users.models import User
from users.querysets import UserQuerySet
from users.snapshots import UserSnapshot
from users.times import to_microseconds

COLUMNS: Final[Mapping[str, str | Combinable]] = {
    "key": KeyText("pk"),
    "email": "email",
    "email_verified": Plain("email_verified"),
    "name": "name",
    "role": "role",
    "is_staff": Plain("is_staff"),
    "is_active": Plain("is_active"),
    "created_at": Microseconds("created_at"),
    "last_seen_at": Microseconds("last_seen_at"),
    "groups": GroupNamesText(),
    "metadata": JSONText("metadata"),
}
"""How each field of a snapshot is read, in their order, cast in SQL: a datetime, a UUID and a JSON
value for each row would cost Django more than everything else."""

_decode_object = msgspec.json.Decoder(dict[str, Any]).decode
_decode_names = msgspec.json.Decoder(list[str]).decode

NO_GROUPS: Final = frozenset({None, "[]"})

Values: TypeAlias = tuple[
    str, str, bool, str, str, bool, bool, int, int | None, tuple[str, ...], dict[str, Any]
]
"""The fields of a snapshot, in their order."""


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


def snapshots_and(
    keys: Iterable[str], condition: Combinable, *, using: str
) -> tuple[dict[str, UserSnapshot], bool]:
    """As `snapshots_by_key`, and whether a condition held for the query; True if nobody was found."""
    ids = [pk for key in keys if (pk := _as_uuid(key)) is not None]
    found: dict[str, UserSnapshot] = {}
    held = True
    if ids:
        rows = User.objects.using(using).filter(pk__in=ids)
        for *row, held_now in rows.values_list(*COLUMNS.values(), condition):
            snapshot = _snapshot(_values(row))
            found[snapshot.key] = snapshot
            held = held and bool(held_now)
    return found, held


def snapshots(users: UserQuerySet[User]) -> list[UserSnapshot]:
    """Snapshots of all users of a queryset, in its order; one query."""
    return list(map(_snapshot, snapshot_values(users)))


def snapshot_values(users: UserQuerySet[User]) -> Iterator[Values]:
    """What `snapshots` gives, as tuples, for those who only pass them on; one query."""
    return map(_values, users.values_list(*COLUMNS.values()))


def _values(row: Sequence[Any]) -> Values:
    key, email, verified, name, role, staff, active, created, seen, groups, metadata = row
    return (
        key,
        email,
        bool(verified),
        name,
        role,
        bool(staff),
        bool(active),
        created,
        seen,
        () if groups in NO_GROUPS else tuple(sorted(_decode_names(groups))),
        _as_object(metadata),
    )


def user_keys(users: UserQuerySet[User]) -> list[str]:
    """The keys of all users of a queryset, in the order of the key column; one query."""
    return list(users.order_by("pk").values_list(KeyText("pk"), flat=True))


def find_user(email_or_id: str) -> User | None:
    """The user with that key or that e-mail in any case; their groups come with the row."""
    users = User.objects.with_group_names()
    key = _as_uuid(email_or_id)
    found: User | None = users.filter(
        **({"email": email_or_id} if key is None else {"pk": key})
    ).first()
    return found


def _snapshot(values: Values) -> UserSnapshot:
    key, email, verified, name, role, staff, active, created, seen, groups, metadata = values
    return UserSnapshot(
        key=key,
        email=email,
        email_verified=verified,
        name=name,
        role=role,
        is_staff=staff,
        is_active=active,
        created_at=created,
        last_seen_at=seen,
        groups=groups,
        metadata=metadata,
    )


def _as_object(text: str) -> dict[str, Any]:
    """The metadata as Django's JSONField reads them."""
    try:
        return _decode_object(text)
    except msgspec.MsgspecError:
        # What the ORM would not have written, and reads all the same: 1e400, NaN.
        found: dict[str, Any] = json.loads(text)
        return found


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
