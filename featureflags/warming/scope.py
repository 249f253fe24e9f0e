"""The scope of a run: which users it warms."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from featureflags.core.conf import app_settings
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import kinds, user_kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Active rows seen within `days` of 24 hours, or all if that is None."""

    days: float | None
    kind: str = ""
    """The name of the kind; empty: all kinds."""
    force: bool = False
    """Also write entries that are still good."""

    def covers(self, other: Scope) -> bool:
        """True if a run with this scope also does what the other one wants."""
        if (other.force and not self.force) or self.kind not in {"", other.kind}:
            return False
        return self.days is None or (other.days is not None and self.days >= other.days)

    def seen_since(self, now: datetime.datetime) -> datetime.datetime | None:
        """The earliest last visit of its users; None: no limit."""
        return None if self.days is None else now - datetime.timedelta(days=self.days)

    def kinds(self) -> tuple[CompiledKind, ...]:
        """The kinds that it warms."""
        return tuple(each for each in kinds() if self.kind in {"", each.name})

    def __str__(self) -> str:
        whom = "everybody" if self.days is None else f"users seen within {self.days:g} days"
        whom += f" of the kind {self.kind}" if self.kind else ""
        return f"{whom}, all written" if self.force else whom


def scope_for(
    days: float | None, *, everyone: bool = False, force: bool = False, kind: str = ""
) -> Scope:
    """A scope; `days` None takes the setting `warm_active_days`."""
    within = app_settings().warm_active_days if days is None else days
    return Scope(days=None if everyone else within, force=force, kind=kind)


def users_seen_since(
    since: datetime.datetime | None, kind: CompiledKind | None = None
) -> QuerySet[Any]:
    """Active rows of a kind (None: users) seen since then; None: all, inactive ones included."""
    kind = kind or user_kind()
    users = kind.rows().order_by()
    if since is None:
        return users
    if kind.active is not None:
        users = users.filter(kind.active)
    # A kind without a last visit: all that are active.
    return users if kind.last_seen is None else users.filter(**{f"{kind.last_seen}__gte": since})
