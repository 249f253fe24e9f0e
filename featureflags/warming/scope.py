"""The scope of a run: which users it warms."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from featureflags.core.conf import app_settings
from featureflags.kinds.registry import user_kind


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


def users_seen_since(since: datetime.datetime | None) -> QuerySet[Any]:
    """Active users seen since then; None: everybody, inactive users included."""
    kind = user_kind()
    users = kind.rows().order_by()
    if since is None:
        return users
    if kind.active is not None:
        users = users.filter(kind.active)
    # A kind without a last visit: all that are active.
    return users if kind.last_seen is None else users.filter(**{f"{kind.last_seen}__gte": since})
