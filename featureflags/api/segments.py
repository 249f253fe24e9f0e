"""Segments and their members, for staff with Django's permissions for them.

The models validate: `exceptions` turns a ValidationError into 400, and the deletion of a
segment that another one uses into 409.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, viewsets
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from featureflags.api.concurrency import (
    How,
    etag,
    how_in,
    require_version,
    write,
)
from featureflags.api.deletions import how_of_deletion
from featureflags.api.etags import has_tag
from featureflags.api.filters import StableOrderingFilter
from featureflags.api.key_kinds import of_kinds
from featureflags.api.policy import LIST_FILTERS, ApiPolicy
from featureflags.api.segment_changes import creation_of, update_of
from featureflags.api.segment_filters import SegmentFilter, SegmentSearchFilter
from featureflags.api.segment_serializers import (
    MemberSerializer,
    SegmentSerializer,
    SegmentUpdateSerializer,
)
from featureflags.api.staff import StaffModelPermissions
from featureflags.api.subjects import segment_of
from featureflags.core.uncached import fresh_rows
from featureflags.editing import SEARCH_FIELDS, deletion_of, membership_change, place_key
from featureflags.kinds.registry import USER, kind_named
from featureflags.models import Segment, SegmentMember
from featureflags.models.changesets import MemberState

AFTER_A_WRITE = (
    "The answer has `warnings` about rules that users can satisfy themselves, and `remarks` on values"
    " that were changed to be saved."
)
KEY_PATTERN = "[A-Za-z0-9][A-Za-z0-9._-]*"
ROW_PATTERN = r"[\s\S]+"
"""The key of a row is any text, also with slashes."""


@extend_schema_view(
    create=extend_schema(description=f"Create a segment. {AFTER_A_WRITE}"),
    update=extend_schema(
        request=SegmentUpdateSerializer, description=f"Write a segment again. {AFTER_A_WRITE}"
    ),
    partial_update=extend_schema(
        request=SegmentUpdateSerializer, description=f"Change fields of a segment. {AFTER_A_WRITE}"
    ),
    destroy=extend_schema(description="Delete a segment. Its history stays."),
)
class SegmentViewSet(ApiPolicy, viewsets.ModelViewSet[Segment]):
    """Segments by key."""

    is_confirmed = True
    has_versions = True
    names_segment = "key"
    queryset = Segment.objects.all()
    serializer_class = SegmentSerializer
    permission_classes = [StaffModelPermissions]
    lookup_field = "key"
    lookup_value_regex = KEY_PATTERN
    filter_backends = [filters.DjangoFilterBackend, SegmentSearchFilter, StableOrderingFilter]
    filterset_class = SegmentFilter
    search_fields = SEARCH_FIELDS
    ordering_fields = ["key", "name", "created_at", "updated_at"]
    ordering = ["key"]

    def get_queryset(self) -> QuerySet[Segment]:
        """As DRF's. A list leaves archived segments out unless `is_archived` is sent."""
        found: QuerySet[Segment] = of_kinds(self.request, super().get_queryset())
        if self.action != "list" or "is_archived" in self.request.query_params:
            return found
        return found.filter(is_archived=False)

    def get_object(self) -> Segment:
        # A list may be seconds old; one segment by itself must not.
        with fresh_rows():
            return super().get_object()

    _expected_version: int | None = None

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """The version of a single segment is its `ETag`, for `If-Match`; 304 where the caller has it."""
        data = getattr(response, "data", None)
        if isinstance(data, dict) and response.status_code < 300 and "version" in data:
            response["ETag"] = etag(data["version"])
            if request.method in SAFE_METHODS and has_tag(request, response["ETag"]):
                response = Response(status=304, headers={"ETag": response["ETag"]})
        return super().finalize_response(request, response, *args, **kwargs)

    def perform_create(self, serializer: serializers.BaseSerializer[Any]) -> None:
        how = how_in(serializer.validated_data)
        serializer.instance = write(self.request, creation_of(serializer.validated_data), **how)

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Refuses a version that is not the stored one any more."""
        segment = self.get_object()
        self._expected_version = require_version(request, segment)
        data: Any = request.data
        given = data.get("version") if isinstance(data, dict) else None
        if self._expected_version is not None and given not in {None, segment.version}:
            # It is older and says the same; what else was read with it is older too.
            data.pop("version")
            data.pop("updated_at", None)
        return super().update(request, *args, **kwargs)

    def perform_update(self, serializer: serializers.BaseSerializer[Any]) -> None:
        """Writes only the given columns, so that it never undoes another user's change."""
        given: dict[str, Any] = serializer.validated_data
        how = how_in(given)
        if not given:
            return
        stored: Segment = serializer.instance  # type: ignore[assignment]  # an update has one
        change = update_of(stored, given, expected=self._expected_version)
        serializer.instance = write(self.request, change, **how)

    def perform_destroy(self, instance: Segment) -> None:
        require_version(self.request, instance)
        instance.refuse_if_named()
        how = how_of_deletion(self.request, takes_version=True)
        write(self.request, deletion_of(instance), **how)


class MemberFilter(filters.FilterSet):  # type: ignore[misc]  # it has no types
    kind = filters.ChoiceFilter(choices=SegmentMember.Kind.choices)

    class Meta:
        model = SegmentMember
        fields = ["kind"]


class MemberViewSet(ApiPolicy, viewsets.ModelViewSet[SegmentMember]):
    """Users whom a segment includes or excludes, whatever its rules say; by the id of the user.

    In a segment of another kind: rows, by their keys.
    """

    is_confirmed = True
    names_segment = "segment_key"
    queryset = SegmentMember.objects.all()
    serializer_class = MemberSerializer
    permission_classes = [StaffModelPermissions]
    lookup_field = "user_id"
    lookup_value_regex = ROW_PATTERN
    filter_backends = LIST_FILTERS
    filterset_class = MemberFilter
    ordering_fields = ["created_at", "starts_at", "expires_at", "kind"]
    ordering = ["created_at"]

    def get_queryset(self) -> QuerySet[SegmentMember]:
        if "segment_key" not in self.kwargs:  # the schema is drawn without a request
            return SegmentMember.objects.none()
        return SegmentMember.objects.filter(segment=self._segment())

    def get_object(self) -> SegmentMember:
        segment, text = self._segment(), self.kwargs["user_id"]
        kind = kind_named(segment.kind)
        if kind is None or kind.parse_key(kind.canonical(text)) is None:
            raise Http404
        key = place_key(kind.canonical(text), kind.name)
        named = {"user": key} if kind.name == USER else {"key": key}
        with fresh_rows():
            found = get_object_or_404(self.filter_queryset(self.get_queryset()), **named)
        self.check_object_permissions(self.request, found)
        return found

    def get_serializer_context(self) -> dict[str, Any]:
        context = dict(super().get_serializer_context())
        if "segment_key" in self.kwargs:
            context["segment_kind"] = self._segment().kind
        return context

    def perform_create(self, serializer: serializers.BaseSerializer[Any]) -> None:
        how = how_in(serializer.validated_data)
        member = SegmentMember(segment=self._segment(), **serializer.validated_data)
        self._save(serializer, member, how)

    def perform_update(self, serializer: serializers.BaseSerializer[Any]) -> None:
        how = how_in(serializer.validated_data)
        member: SegmentMember = copy(serializer.instance)  # type: ignore[assignment]  # as above
        for name, value in serializer.validated_data.items():
            setattr(member, name, value)
        self._save(serializer, member, how)

    def perform_destroy(self, instance: SegmentMember) -> None:
        self._write(instance, None, how_of_deletion(self.request))

    def _save(
        self, serializer: serializers.BaseSerializer[Any], member: SegmentMember, how: How
    ) -> None:
        with fresh_rows():
            member.full_clean()
        self._write(member, member.as_state(), how)
        with fresh_rows():
            serializer.instance = SegmentMember.objects.get(
                segment=member.segment_id, user=member.user_id, key=member.key
            )

    def _write(self, member: SegmentMember, state: MemberState | None, how: How) -> None:
        change = membership_change(self._segment(), {str(member.row_key): state})
        if change.members:
            write(self.request, change, **how)

    def _segment(self) -> Segment:
        return segment_of(self.kwargs["segment_key"])
