"""The one catalogue of attributes: what rules may test, and what LaunchDarkly may see.

Each attribute says in one place its name, type, label, privacy, its value from a snapshot, its
SQL, and when its value changes by itself. A project adds its own by listing dotted paths to
`Attribute` instances in `FEATUREFLAGS["ATTRIBUTES"]`. Every key of a user's metadata is an
attribute too: `custom_<key>`, of any type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db.models import F, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import NullIf
from django.utils.functional import Promise
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from featureflags.core.conf import app_settings
from featureflags.core.types import MICROSECONDS_PER_DAY, JSONValue
from featureflags.segments.attribute_types import AttributeType
from featureflags.segments.time_attributes import Clock, ElapsedDays
from users.functions import EmailDomain, KeyText
from users.models import Role
from users.snapshots import UserSnapshot
from users.times import to_rfc3339

CUSTOM_PREFIX = "custom_"
SEGMENT_NAMES = frozenset({"segments", "segment"})
"""How a user's segments are called in a context: the list, and the object."""
RESERVED_NAMES = frozenset({"kind", "anonymous", "_meta", "anonymous_key"}) | SEGMENT_NAMES
"""Names in a context that mean something else: no attribute may have them."""


class Privacy(StrEnum):
    """What LaunchDarkly may have of an attribute; `featureflags.contexts.privacy` applies it."""

    PUBLIC = "public"
    PRIVATE = "private"
    """Usable in LaunchDarkly's rules, and redacted from every event."""
    WITHHELD = "withheld"
    """Never leaves Django: usable in segments alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute of a user, from the snapshot to the rule."""

    name: str
    type: AttributeType
    label: str | Promise
    value: Callable[[UserSnapshot, int], JSONValue]
    """From a snapshot and `now` (µs) to a JSON value. None: this user does not have it."""
    sql: Combinable | None = None
    """The same in SQL, for attributes that stand still. NULL: this user does not have it.

    It yields what `type` says: a text, a number, a boolean, an instant whose value is written by
    `users.times.to_rfc3339`, and JSON for lists, objects and any type. Without it, conditions on
    the attribute are finished in Python.
    """
    sql_related: tuple[str, str] | None = None
    """For a list of texts in rows of their own: the user's relation, and the column there."""
    elapsed_days_since: str | None = None
    """For a number of days that have passed: the column that it is counted from."""
    clock: Callable[[UserSnapshot], Clock | None] | None = None
    """When the value changes by itself. None: only a write changes it."""
    privacy: Privacy = Privacy.PUBLIC
    user_writable: bool = False
    """Whether users choose the value themselves, so that no rule may rest on it alone."""
    choices: tuple[tuple[str, str | Promise], ...] = ()
    always_known: bool = False
    """Whether every user has it. Who lacks an attribute matches no condition on it, negated or
    not, which the editor says of all others."""


def elapsed_days(since: int, now: int) -> int:
    """Days of 24 hours between two instants (µs), floored, never negative."""
    return max(0, (now - since) // MICROSECONDS_PER_DAY)


def _email_domain(snapshot: UserSnapshot, _now: int) -> JSONValue:
    return snapshot.email.rpartition("@")[2] or None


def _last_seen_at(snapshot: UserSnapshot, _now: int) -> JSONValue:
    return None if snapshot.last_seen_at is None else to_rfc3339(snapshot.last_seen_at)


def _days_since_last_seen(snapshot: UserSnapshot, now: int) -> JSONValue:
    return None if snapshot.last_seen_at is None else elapsed_days(snapshot.last_seen_at, now)


def _last_seen_clock(snapshot: UserSnapshot) -> Clock | None:
    return None if snapshot.last_seen_at is None else ElapsedDays(since=snapshot.last_seen_at)


BUILT_IN = (
    Attribute(
        name="key",
        type=AttributeType.STRING,
        label=_("User key"),
        value=lambda snapshot, _now: snapshot.key,
        sql=KeyText(F("pk")),
        always_known=True,
    ),
    Attribute(
        name="email",
        type=AttributeType.STRING,
        label=_("E-mail"),
        value=lambda snapshot, _now: snapshot.email,
        sql=F("email"),
        privacy=Privacy.PRIVATE,
        user_writable=True,
        always_known=True,
    ),
    Attribute(
        name="email_domain",
        type=AttributeType.STRING,
        label=_("E-mail domain"),
        value=_email_domain,
        sql=EmailDomain(F("email")),
        user_writable=True,
    ),
    Attribute(
        name="email_verified",
        type=AttributeType.BOOLEAN,
        label=_("E-mail verified"),
        value=lambda snapshot, _now: snapshot.email_verified,
        sql=F("email_verified"),
        always_known=True,
    ),
    Attribute(
        name="name",
        type=AttributeType.STRING,
        label=_("Name"),
        value=lambda snapshot, _now: snapshot.name or None,
        sql=NullIf(F("name"), Value("")),
        privacy=Privacy.PRIVATE,
        user_writable=True,
    ),
    Attribute(
        name="role",
        type=AttributeType.STRING,
        label=_("Role"),
        value=lambda snapshot, _now: snapshot.role,
        sql=F("role"),
        choices=tuple(Role.choices),
        always_known=True,
    ),
    Attribute(
        name="groups",
        type=AttributeType.LIST,
        label=_("Groups"),
        value=lambda snapshot, _now: list(snapshot.groups),
        sql_related=("groups", "name"),
        always_known=True,
    ),
    Attribute(
        name="is_staff",
        type=AttributeType.BOOLEAN,
        label=_("Staff"),
        value=lambda snapshot, _now: snapshot.is_staff,
        sql=F("is_staff"),
        always_known=True,
    ),
    Attribute(
        name="created_at",
        type=AttributeType.DATETIME,
        label=_("Account created"),
        value=lambda snapshot, _now: to_rfc3339(snapshot.created_at),
        sql=F("created_at"),
        always_known=True,
    ),
    Attribute(
        name="account_age_days",
        type=AttributeType.NUMBER,
        label=_("Account age in days"),
        value=lambda snapshot, now: elapsed_days(snapshot.created_at, now),
        elapsed_days_since="created_at",
        clock=lambda snapshot: ElapsedDays(since=snapshot.created_at),
        always_known=True,
    ),
    Attribute(
        name="last_seen_at",
        type=AttributeType.DATETIME,
        label=_("Last seen"),
        value=_last_seen_at,
        sql=F("last_seen_at"),
    ),
    Attribute(
        name="days_since_last_seen",
        type=AttributeType.NUMBER,
        label=_("Days since last seen"),
        value=_days_since_last_seen,
        elapsed_days_since="last_seen_at",
        clock=_last_seen_clock,
    ),
)


@cache
def catalogue() -> Mapping[str, Attribute]:
    """All attributes by name, the project's own included; metadata keys are not listed.

    Raises ImproperlyConfigured for a path that leads to no Attribute, or a name that is taken.
    """
    attributes = {attribute.name: attribute for attribute in BUILT_IN}
    for path in app_settings().attributes:
        attribute = import_string(path)
        if not isinstance(attribute, Attribute):
            raise ImproperlyConfigured(f"FEATUREFLAGS['ATTRIBUTES']: {path} is no Attribute.")
        is_taken = attribute.name in attributes or attribute.name in RESERVED_NAMES
        if is_taken or attribute.name.startswith(CUSTOM_PREFIX):
            raise ImproperlyConfigured(f"The attribute name {attribute.name!r} ({path}) is taken.")
        attributes[attribute.name] = attribute
    return attributes


def type_of(name: str) -> AttributeType | None:
    """The type of an attribute that a rule may test; None if there is no such attribute."""
    attribute = catalogue().get(name)
    if attribute is not None:
        return attribute.type
    is_metadata = name.startswith(CUSTOM_PREFIX) and name != CUSTOM_PREFIX
    return AttributeType.ANY if is_metadata else None


def is_user_writable(name: str) -> bool:
    """Whether users choose the value themselves. Metadata is written by staff and trusted code."""
    attribute = catalogue().get(name)
    return attribute is not None and attribute.user_writable


@cache
def private_names() -> frozenset[str]:
    """The attributes that LaunchDarkly may use in rules, and redacts from every event."""
    marked = {name for name, found in catalogue().items() if found.privacy is Privacy.PRIVATE}
    return frozenset(marked | set(app_settings().private_attributes))


def attributes_of(snapshot: UserSnapshot, now: int) -> dict[str, JSONValue]:
    """What rules see of a user at `now` (µs). An attribute that a user does not have is left out.

    The values inside metadata are the snapshot's own: do not change them.
    """
    attributes: dict[str, JSONValue] = {}
    for name, value_of in _values():
        value = value_of(snapshot, now)
        if value is not None:
            attributes[name] = value
    for key, value in snapshot.metadata.items():
        if value is not None:
            attributes[CUSTOM_PREFIX + key] = value
    return attributes


def clocks_of(snapshot: UserSnapshot) -> dict[str, Clock]:
    """The attributes of this user that change by themselves, and when."""
    return {
        name: clock for name, clock_of in _clocks() if (clock := clock_of(snapshot)) is not None
    }


@cache
def _values() -> tuple[tuple[str, Callable[[UserSnapshot, int], JSONValue]], ...]:
    return tuple((name, attribute.value) for name, attribute in catalogue().items())


@cache
def _clocks() -> tuple[tuple[str, Callable[[UserSnapshot], Clock | None]], ...]:
    return tuple(
        (name, attribute.clock)
        for name, attribute in catalogue().items()
        if attribute.clock is not None
    )


def _forget_catalogue(*, setting: str, **_kwargs: object) -> None:
    if setting == "FEATUREFLAGS":
        for cached in (catalogue, private_names, _values, _clocks):
            cached.cache_clear()


setting_changed.connect(_forget_catalogue, dispatch_uid="featureflags.contexts.attributes")
