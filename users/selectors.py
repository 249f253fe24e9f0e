"""From rows to snapshots: no code beyond this module touches a model instance.

Hidden SQL: `snapshot_of` reads the groups of a user that was loaded without `with_group_names`
and without prefetching them; the others are one query each.
"""

from __future__ import annotations

import datetime
import json
import operator
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

import msgspec
from django.core.exceptions import ValidationError
from django.db.models import Field
from django.db.models.expressions import Combinable
from django.utils import timezone
from django.utils.functional import Promise

from users.functions import GroupNamesText, JSONText, KeyText, Microseconds, Plain
from users.metadata import normalised
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
"""How each field of a snapshot is read, in order. The casts are in SQL: converting a datetime, a UUID
and a JSON value for each row would be most of Django's work."""

_decode_object = msgspec.json.Decoder(
    dict[str, Any], float_hook=lambda text: normalised(float(text))
).decode
_decode_names = msgspec.json.Decoder(list[str]).decode

NO_GROUPS: Final = frozenset({None, "[]"})

_TYPED = operator.attrgetter(
    "id",
    "created_at",
    "email",
    "name",
    "role",
    "email_verified",
    "is_staff",
    "is_active",
    "metadata",
)
_TYPES: Final = (uuid.UUID, datetime.datetime, str, str, str, bool, bool, bool, dict)
"""The types of these fields in a row from the database."""

Values: TypeAlias = tuple[
    str, str, bool, str, str, bool, bool, int, int | None, tuple[str, ...], dict[str, Any]
]
"""The fields of a snapshot, in their order."""


class UnreadableUser(ValueError):
    """A loaded user whose field has no value that could be saved; `field` names it."""

    def __init__(self, field: str) -> None:
        super().__init__(f"The field {field!r} of the loaded user holds no value to read.")
        self.field = field


def snapshot_of(user: User) -> UserSnapshot:
    """The snapshot of a user that is loaded already, as it is: unsaved changes included.

    Values are converted as a save would convert them: text and naive datetimes, lazy text, "true".
    Raises UnreadableUser for an expression, and for a value that a save would refuse.
    """
    created, seen = user.created_at, user.last_seen_at
    kinds = tuple(map(type, _TYPED(user)))
    has_zones = kinds == _TYPES and created.tzinfo is not None
    if not has_zones or not (
        seen is None or (type(seen) is datetime.datetime and seen.tzinfo is not None)
    ):
        return _converted(user)
    return UserSnapshot(
        key=str(user.pk),
        email=user.email.lower(),
        email_verified=user.email_verified,
        name=user.name,
        role=user.role,
        is_staff=user.is_staff,
        is_active=user.is_active,
        created_at=to_microseconds(created),
        last_seen_at=None if seen is None else to_microseconds(seen),
        groups=tuple(sorted(_group_names(user))),
        metadata=dict(normalised(user.metadata)),
    )


def _converted(user: User) -> UserSnapshot:
    """As `snapshot_of`, for a user with a field that a save would convert."""
    seen = _as_saved(user, "last_seen_at")
    metadata = _as_saved(user, "metadata")
    if not isinstance(metadata, dict):
        raise UnreadableUser("metadata")
    return UserSnapshot(
        key=str(_as_saved(user, "id")),
        email=_as_saved(user, "email").lower(),
        email_verified=_as_saved(user, "email_verified"),
        name=_as_saved(user, "name"),
        role=_as_saved(user, "role"),
        is_staff=_as_saved(user, "is_staff"),
        is_active=_as_saved(user, "is_active"),
        created_at=to_microseconds(_as_saved(user, "created_at")),
        last_seen_at=None if seen is None else to_microseconds(seen),
        groups=tuple(sorted(_group_names(user))),
        metadata=dict(normalised(metadata)),
    )


def _as_saved(user: User, name: str) -> Any:
    """The value of a field as a save would write it. Raises UnreadableUser."""
    field: Field[Any, Any] = cast("Field[Any, Any]", User._meta.get_field(name))  # noqa: SLF001
    value = getattr(user, name)
    if isinstance(value, Promise):
        value = str(value)
    if hasattr(value, "resolve_expression"):
        raise UnreadableUser(name)
    try:
        value = field.to_python(value)
    except (ValidationError, TypeError, ValueError, OverflowError) as error:
        raise UnreadableUser(name) from error
    if value is None and not field.null:
        raise UnreadableUser(name)
    if isinstance(value, datetime.datetime) and value.tzinfo is None:
        value = timezone.make_aware(value, timezone.get_default_timezone())
    # A slice of marked text, or of a choice, is plain text.
    return value[:] if isinstance(value, str) else value


def snapshots_by_key(keys: Iterable[str]) -> dict[str, UserSnapshot]:
    """Snapshots of the users that exist, by key; one query. A key that is not a UUID is skipped."""
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
        found: dict[str, Any] = normalised(json.loads(text))
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
