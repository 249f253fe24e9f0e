"""The way back of `Related`: the rows of other kinds that belong to given rows, as the users of an organization."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet

from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import kinds


def kinds_below(kind: CompiledKind) -> list[tuple[CompiledKind, CompiledKind]]:
    """The kinds whose rows name a row of this kind, and those that name theirs: each once, the nearest first.

    Each with the kind that it names.
    """
    found: list[tuple[CompiledKind, CompiledKind]] = []
    names, wanted = {kind.name}, [kind]
    while wanted:
        above = wanted.pop(0)
        for each in kinds():
            if above.name in each.related and each.name not in names:
                found.append((above, each))
                names.add(each.name)
                wanted.append(each)
    return found


def rows_below(below: CompiledKind, kind: CompiledKind, keys: Iterable[str]) -> QuerySet[Any]:
    """The rows of `below` that name one of these rows of `kind`."""
    [slot] = [each for each in below.slots if each.name == below.related[kind.name]]
    if slot.path is not None:
        # By the column itself, so that its index serves.
        values = [value for key in keys if (value := kind.parse_key(key)) is not None]
        rows = below.rows().filter(**{f"{slot.path}__in": values})
    else:
        rows = below.rows().annotate(_above=slot.source).filter(_above__in=list(keys))
    return rows
