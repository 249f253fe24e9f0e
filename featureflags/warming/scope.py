"""The scope of a run: which users it warms."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from featureflags.core.conf import app_settings
from users.models import User
from users.querysets import UserQuerySet


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Active users seen within `days` of 24 hours, or everybody if that is None."""

    days: float | None
    force: bool = False
    """Also write entries that are still good."""

    def covers(self, other: Scope) -> bool:
        """True if a run with this scope also does what the other one wants."""
        if other.force and not self.force:
            return False
        return self.days is None or (other.days is not None and self.days >= other.days)

    def seen_since(self, now: datetime.datetime) -> datetime.datetime | None:
        """The earliest `last_seen_at` of its users; None: no limit."""
        return None if self.days is None else now - datetime.timedelta(days=self.days)

    def __str__(self) -> str:
        whom = "everybody" if self.days is None else f"users seen within {self.days:g} days"
        return f"{whom}, all written" if self.force else whom


def scope_for(days: float | None, *, everyone: bool = False, force: bool = False) -> Scope:
    """A scope; `days` None takes the setting `warm_active_days`."""
    if everyone:
        return Scope(days=None, force=force)
    return Scope(days=app_settings().warm_active_days if days is None else days, force=force)


def users_seen_since(since: datetime.datetime | None) -> UserQuerySet[User]:
    """Active users seen since then; None: everybody, inactive users included."""
    users: UserQuerySet[User] = User.objects.order_by()
    return users if since is None else users.filter(is_active=True, last_seen_at__gte=since)
