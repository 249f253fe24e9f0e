"""Where the app that knows segments registers itself, so that users can be filtered by them.

`users` imports nothing of it.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet

Users = TypeVar("Users", bound=QuerySet[Any])


class SegmentResolver(Protocol):
    """Filters users by a segment: a key, a definition, or its JSON. `now` is in µs."""

    def members(self, users: Users, segment: object, now: int | None) -> Users:
        """Those who are in the segment."""
        ...

    def others(self, users: Users, segment: object, now: int | None) -> Users:
        """Those who are not in the segment."""
        ...

    def bounds(self, users: Users, segment: object, now: int | None) -> tuple[Users, Users]:
        """Those who surely are in the segment, and those who can be."""
        ...

    def choices(self, viewer: object) -> list[tuple[str, str]]:
        """Keys and names of the segments that a member of staff may see; one query at most."""
        ...


_registered: list[SegmentResolver] = []


def register(resolver: SegmentResolver) -> None:
    """Make this resolver the one that querysets ask."""
    _registered[:] = [resolver]


def resolver() -> SegmentResolver:
    """The resolver to ask. Raises ImproperlyConfigured if no app has registered one."""
    if not _registered:
        raise ImproperlyConfigured("No app that knows segments is installed.")
    return _registered[0]


def choices(viewer: object) -> list[tuple[str, str]]:
    """Keys and names of the segments that `viewer` may see; none if no app knows segments."""
    return _registered[0].choices(viewer) if _registered else []
