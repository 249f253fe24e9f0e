"""API keys that are for rows of some kinds, or for some flags: whatever is about others is shut to them.

A segment is about the rows of its kind: its members are theirs, and its rules hold what they have. A key of a
segment that was deleted may name one of another kind since: each entry of the history is of its own kind.
"""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, Q, QuerySet
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from featureflags.api.authentication import OTHER_KINDS, service_key
from featureflags.core.uncached import fresh_rows
from featureflags.editing import load_state
from featureflags.editing.history import entries_of
from featureflags.kinds.registry import USER
from featureflags.models import HistoryEntry, Segment

ModelT = TypeVar("ModelT", bound=Model)


def allows_kind(request: Request, kind: str) -> bool:
    """False for a key that is for other kinds."""
    key = service_key(request)
    return key is None or key.allows_kind(kind)


def may_ask(request: Request, flag: str) -> bool:
    """False if the caller's key is for other flags."""
    key = service_key(request)
    return key is None or key.allows_flag(flag)


def require_kind(request: Request, kind: str) -> None:
    """Raises PermissionDenied for a key that is for other kinds."""
    if not allows_kind(request, kind):
        raise PermissionDenied(OTHER_KINDS)


def require_kind_of(request: Request, segment: str) -> None:
    """The same for the kind of a segment, also of one that is deleted. A key of no segment passes.

    Hidden SQL: one query, for a key that is for some kinds.
    """
    key = service_key(request)
    if key is None or not key.kinds:
        return
    kind = _kind_of(segment)
    if kind is not None:
        require_kind(request, kind)


def of_kinds(request: Request, rows: QuerySet[ModelT]) -> QuerySet[ModelT]:
    """Those of these segments that the caller's key is for."""
    key = service_key(request)
    return rows.filter(kind__in=key.kinds) if key is not None and key.kinds else rows


def plans_of_kinds(request: Request, plans: QuerySet[ModelT]) -> QuerySet[ModelT]:
    """Those of these planned changes that the caller's key is for."""
    return _with_states(request, plans, "change__before", "change__after")


def entries_seen(request: Request, segment: str) -> QuerySet[HistoryEntry]:
    """The history of the segment with this key, as far as the caller's key is for it; the newest first."""
    return _with_states(request, entries_of(segment), "before", "after")


def _with_states(
    request: Request, rows: QuerySet[ModelT], before: str, after: str
) -> QuerySet[ModelT]:
    """Those of these rows whose states are of a kind that the caller's key is for."""
    key = service_key(request)
    if key is None or not key.kinds:
        return rows
    # A state names its kind unless that is `user`, and both states of a row are of one kind.
    named = Q(**{f"{before}__kind__in": key.kinds}) | Q(**{f"{after}__kind__in": key.kinds})
    if USER not in key.kinds:
        return rows.filter(named)
    unnamed = Q(**{f"{before}__kind__isnull": True, f"{after}__kind__isnull": True})
    return rows.filter(named | unnamed)


def _kind_of(segment: str) -> str | None:
    with fresh_rows():
        kind = Segment.objects.filter(key=segment).values_list("kind", flat=True).first()
    if kind is not None:
        return kind
    entry = entries_of(segment).first()
    state = None if entry is None else entry.after or entry.before
    return None if state is None else load_state(state).kind
