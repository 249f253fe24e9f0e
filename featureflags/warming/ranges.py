"""Cuts users into ranges of the key column; the boundaries are keys of real rows.

Hidden SQL: one query for each range, along the index of the key, and one for the last.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from users.models import User
from users.querysets import UserQuerySet


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Keys from `first` to before `until`; None: no bound."""

    first: uuid.UUID | None
    until: uuid.UUID | None
    users: int
    """How many there are while planning."""


def plan(users: UserQuerySet[User], size: int) -> Iterator[Bounds]:
    """Ranges of `size` users each, the last one with the rest; empty without users.

    The first and the last are open, so a user created during the run is in one of the ranges.
    """
    ordered = users.order_by("pk").values_list("pk", flat=True)
    first: uuid.UUID | None = None
    while True:
        rest = ordered if first is None else ordered.filter(pk__gte=first)
        until = rest[size : size + 1].first()
        if until is None:
            break
        yield Bounds(first=first, until=until, users=size)
        first = until
    left = rest.count()
    if left:
        yield Bounds(first=first, until=None, users=left)


def within(
    users: UserQuerySet[User], first: uuid.UUID | None, until: uuid.UUID | None
) -> UserQuerySet[User]:
    """The users whose key is in the range."""
    if first is not None:
        users = users.filter(pk__gte=first)
    return users if until is None else users.filter(pk__lt=until)
