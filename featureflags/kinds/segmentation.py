"""Lets the querysets of a kind's model filter by segments.

`featureflags.audience` knows how; it registers itself when the apps are ready, so that a project's
models can use `SegmentQuerySet` while they load.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol, Self, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model, QuerySet
from django.utils.module_loading import import_string

Users = TypeVar("Users", bound=QuerySet[Any])
Row = TypeVar("Row", bound=Model)


class SegmentResolver(Protocol):
    """Filters users by a segment: a key, a definition, or its JSON. `now` is in µs."""

    def members(self, users: Users, segment: object, now: int | None) -> Users:
        """The users in the segment."""
        ...

    def others(self, users: Users, segment: object, now: int | None) -> Users:
        """The users outside the segment."""
        ...

    def choices(self, viewer: object, most: int) -> list[tuple[str, str]]:
        """Key and name of segments that the viewer may see, at most so many; at most one query."""
        ...

    def finder(self) -> str:
        """The address that finds segments as they are typed."""
        ...


_registered: list[str] = []


def register(path: str) -> None:
    """Make querysets use the resolver of this class, which is imported when the first one is filtered."""
    _registered[:] = [path]
    resolver.cache_clear()


@cache
def resolver() -> SegmentResolver:
    """The registered resolver. Raises ImproperlyConfigured without one."""
    if not _registered:
        raise ImproperlyConfigured("No app that knows segments is installed.")
    found: SegmentResolver = import_string(_registered[0])()
    return found


def choices(viewer: object, most: int) -> list[tuple[str, str]]:
    """Key and name of segments that `viewer` may see, at most so many; none without a resolver."""
    return resolver().choices(viewer, most) if _registered else []


def finder() -> str:
    """The address of the admin that finds segments as they are typed, as JSON. Raises ImproperlyConfigured without
    a resolver."""
    return resolver().finder()


class SegmentQuerySet(QuerySet[Row]):
    """A queryset of a kind's rows that can be filtered by segments."""

    def in_segment(self, segment: object, *, now: int | None = None) -> Self:
        """Those who are in a segment at `now` (µs; None: this moment).

        `segment` is a key, a definition that need not be saved, or its JSON. An unknown key has
        no members; InvalidDefinition is raised for invalid JSON. Hidden SQL: the rules are
        read if they have changed, and where SQL cannot say a rule, users in question are read
        at once, in batches, and judged in Python; the result is a queryset all the same.
        """
        return resolver().members(self, segment, now)

    def not_in_segment(self, segment: object, *, now: int | None = None) -> Self:
        """Those who are not in a segment; see `in_segment`. Of an unknown one: everybody."""
        return resolver().others(self, segment, now)
