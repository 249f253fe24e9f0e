"""Forgets deleted rows of other kinds than `user`: their memberships, and their keys in the history and in plans.

A user is a foreign key, which the database removes with the account; a row of another kind is a key.
Hidden SQL: for each kind four queries, and one for each thousand keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from django.db.models import Q

from featureflags.editing.member_lookup import chunks
from featureflags.editing.plans import forget_rows
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import USER, kinds
from featureflags.models import HistoryMember, SegmentMember
from featureflags.models.changesets import open_changeset

SOURCE: Final = "forget_deleted_rows"
"""What the history stores as the source."""


def forget_deleted_rows() -> int:
    """Remove the memberships of rows that are gone; returns how many. A kind that no app declares any
    more keeps its members."""
    return sum(_forget(kind) for kind in kinds() if kind.name != USER)


def _forget(kind: CompiledKind) -> int:
    members = SegmentMember.objects.filter(segment__kind=kind.name).exclude(key="")
    gone = _gone(kind, members.values_list("key", flat=True))
    removed = 0
    for some in chunks(gone):
        rows = members.filter(key__in=some)
        with open_changeset(actor=None, source=SOURCE) as changeset:
            changeset.deleted_rows |= rows.states().keys()
            removed += rows.delete()[0]
    of_kind = Q(entry__before__kind=kind.name) | Q(entry__after__kind=kind.name)
    named = HistoryMember.objects.filter(of_kind).exclude(key="").order_by()
    for some in chunks(_gone(kind, named.values_list("key", flat=True))):
        ids = list(named.filter(key__in=some).values_list("pk", flat=True))
        rows_of_history = HistoryMember.objects.filter(pk__in=ids)
        rows_of_history.forget(key="", reason_before="", reason_after="")
    forget_rows(kind)
    return removed


def _gone(kind: CompiledKind, keys: Iterable[str]) -> Sequence[str]:
    """Those of these keys that no row has."""
    asked = sorted(set(keys))
    known = {key for some in chunks(asked) for key in kind.existing(some)}
    return [key for key in asked if key not in known]
