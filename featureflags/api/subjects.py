"""What an address of the API names: a segment, or the row of a kind, by the name of the kind and the key as text.

    row = row_of(request, "user", "6d0c3a52-0000-4000-8000-000000000000")

Every view that is about one row finds it here, and only here it is decided who may look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.shortcuts import get_object_or_404
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from featureflags.api.concurrency import sees_people
from featureflags.api.key_kinds import require_kind
from featureflags.api.requests import is_staff
from featureflags.contexts.attributes import attributes_of
from featureflags.contexts.subject_context import SubjectContext
from featureflags.core.input_gate import is_storable
from featureflags.core.times import now_in_microseconds
from featureflags.core.types import Attributes
from featureflags.core.uncached import fresh_rows
from featureflags.evaluation.resolve import resolve
from featureflags.kinds.compiled import CompiledKind
from featureflags.kinds.registry import kind_named
from featureflags.models import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectRow:
    """One row of a kind."""

    kind: CompiledKind
    key: str
    """In its canonical form."""
    row: Any
    """The loaded row."""

    def context(self) -> SubjectContext:
        """The row as LaunchDarkly sees it."""
        return resolve(self.row)

    def snapshot(self) -> Any:
        """What rules and contexts are made of."""
        return self.kind.snapshot_of(self.row)

    def attributes(self, now: int | None = None) -> Attributes:
        """What the rules of segments test, at `now` (µs)."""
        return attributes_of(self.snapshot(), now_in_microseconds() if now is None else now)


def row_of(request: Request, kind_name: str, key: str) -> SubjectRow:
    """The row of this kind and key. Hidden SQL: one query.

    Raises PermissionDenied for a caller who may not look at rows of the kind, and NotFound for an unknown
    kind or key.
    """
    require_kind(request, kind_name)
    kind = kind_named(kind_name)
    if kind is None:
        raise NotFound("There is no kind of this name.")
    if not may_see(request, kind):
        raise PermissionDenied
    value = kind.parse_key(key) if is_storable(key) else None
    row = None
    if value is not None:
        row = kind.loaded(kind.rows()).filter(**{kind.key: value}).first()
    if row is None:
        raise NotFound("There is no row with this key.")
    return SubjectRow(kind=kind, key=kind.key_of(row), row=row)


def segment_of(key: str) -> Segment:
    """The segment as it is in the database now. Raises Http404."""
    with fresh_rows():
        return get_object_or_404(Segment, key=key)


def may_see(request: Request, kind: CompiledKind) -> bool:
    """True for staff with Django's permission to view or to change rows of the kind."""
    return is_staff(request) and sees_people(request, kind)


class StaffWhoMayLook(BasePermission):
    """Staff who may view segments. Whether they may see the row as well, `row_of` decides."""

    needed: ClassVar[tuple[str, ...]] = ("featureflags.view_segment",)

    def has_permission(self, request: Request, _view: APIView) -> bool:
        user = request.user
        return (
            isinstance(user, AbstractBaseUser)
            and is_staff(request)
            and bool(user.has_perms(self.needed))
        )


class Staff(StaffWhoMayLook):
    """Staff. Whether they may see the row, `row_of` decides."""

    needed = ()
