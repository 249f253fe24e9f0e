"""Lets the app that knows segments register itself, so that querysets can filter by them.

`users` never imports that app: `featureflags.apps` calls `register`.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet

Users = TypeVar("Users", bound=QuerySet[Any])


class SegmentResolver(Protocol):
    """Filters users by a segment: a key, a definition, or its JSON. `now` is in µs."""

    def members(self, users: Users, segment: object, now: int | None) -> Users:
        """The users in the segment."""
        ...

    def others(self, users: Users, segment: object, now: int | None) -> Users:
        """The users outside the segment."""
        ...

    def choices(self, viewer: object) -> list[tuple[str, str]]:
        """Key and name of each segment that the viewer may see; at most one query."""
        ...


_registered: list[SegmentResolver] = []


def register(resolver: SegmentResolver) -> None:
    """Make querysets use this resolver."""
    _registered[:] = [resolver]


def resolver() -> SegmentResolver:
    """The registered resolver. Raises ImproperlyConfigured without one."""
    if not _registered:
        raise ImproperlyConfigured("No app that knows segments is installed.")
    return _registered[0]


def choices(viewer: object) -> list[tuple[str, str]]:
    """Key and name of each segment that `viewer` may see; none without a resolver."""
    return _registered[0].choices(viewer) if _registered else []
