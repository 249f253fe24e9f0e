"""The attributes that every project has: the fields of the user and what follows from them."""

from __future__ import annotations

from django.db.models import F, Value
from django.db.models.functions import NullIf
from django.utils.translation import gettext_lazy as _

from featureflags.contexts.attribute import Attribute, Privacy
from featureflags.core.types import MICROSECONDS_PER_DAY, JSONValue
from featureflags.segments.attribute_types import AttributeType
from featureflags.segments.time_attributes import Clock, ElapsedDays
from users.functions import EmailDomain, KeyText
from users.models import Role
from users.snapshots import UserSnapshot
from users.times import to_rfc3339


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
        is_lower_case=True,
        always_known=True,
    ),
    Attribute(
        name="email",
        type=AttributeType.STRING,
        label=_("E-mail"),
        value=lambda snapshot, _now: snapshot.email,
        sql=F("email"),
        is_lower_case=True,
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
        is_lower_case=True,
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
