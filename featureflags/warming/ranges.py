"""Cuts users into ranges of the key column; the boundaries are keys of real rows.

Hidden SQL: one query for each range, along the index of the key, and one for the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import USER, user_kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Keys (as text) from `first` to before `until`, in the order of the column; empty: no bound."""

    first: str
    until: str
    users: int
    """How many there are while planning."""
    kind: str = USER


def plan(users: QuerySet[Any], size: int, kind: CompiledKind | None = None) -> Iterator[Bounds]:
    """Ranges of `size` rows of a kind (None: users) each, the last one with the rest; empty without users.

    The first and the last are open, so a user created during the run is in one of the ranges.
    """
    kind = kind or user_kind()
    ordered = users.order_by(kind.key).values_list(kind.key, flat=True)
    first = ""
    while True:
        rest = within(ordered, first, "", kind)
        until = rest[size : size + 1].first()
        if until is None:
            break
        yield Bounds(first=first, until=str(until), users=size, kind=kind.name)
        first = str(until)
    left = rest.count()
    if left:
        yield Bounds(first=first, until="", users=left, kind=kind.name)


def within(
    users: QuerySet[Any], first: str, until: str, kind: CompiledKind | None = None
) -> QuerySet[Any]:
    """The rows of a kind (None: users) whose key is in the range."""
    kind = kind or user_kind()
    if first:
        users = users.filter(**{f"{kind.key}__gte": kind.parse_key(first)})
    return users.filter(**{f"{kind.key}__lt": kind.parse_key(until)}) if until else users
