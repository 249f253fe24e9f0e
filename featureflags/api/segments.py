"""Segments and their members, for staff with Django's permissions for them.

The models validate; what they refuse comes out as 400 by `config.exceptions`. A deletion that
another segment stands against is 409.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from featureflags.api.concurrency import (
    SOURCE,
    confirm_of,
    etag,
    note_of,
    require_confirmed,
    require_version,
)
from featureflags.api.segment_serializers import MemberSerializer, SegmentSerializer
from featureflags.core.uncached import fresh_rows
from featureflags.editing.changes import MemberDelta, SegmentDelta
from featureflags.editing.confirmation import examine
from featureflags.editing.member_lists import deletion_of, membership_of
from featureflags.models import Segment, SegmentMember
from featureflags.models.changesets import MemberState, Moved, segment_change
from users.api.filters import TrueOrFalseFilter
from users.api.permissions import StaffModelPermissions

KEY_PATTERN = "[A-Za-z0-9][A-Za-z0-9._-]*"
USER_PATTERN = "[0-9a-fA-F-]{36}"


class SegmentFilter(filters.FilterSet):  # type: ignore[misc]  # it has no types
    is_active = TrueOrFalseFilter()

    class Meta:
        model = Segment
        fields = ["is_active"]


class SegmentViewSet(viewsets.ModelViewSet[Segment]):
    """Segments by key. A write answers with `warnings` about rules that rest on too little."""

    queryset = Segment.objects.all()
    serializer_class = SegmentSerializer
    permission_classes = [StaffModelPermissions]
    lookup_field = "key"
    lookup_value_regex = KEY_PATTERN
    filterset_class = SegmentFilter
    search_fields = ["key", "name", "description"]
    ordering_fields = ["key", "name", "created_at", "updated_at"]
    ordering = ["key"]

    def get_object(self) -> Segment:
        # A list may be a minute old; what is shown or written by itself may not.
        with fresh_rows():
            return super().get_object()

    _expected_version: int | None = None

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "expected_version": self._expected_version}

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """The version of a single segment is its `ETag`, for `If-Match`."""
        data = getattr(response, "data", None)
        if isinstance(data, dict) and response.status_code < 300 and "version" in data:
            response["ETag"] = etag(data["version"])
        return super().finalize_response(request, response, *args, **kwargs)

    def perform_create(self, serializer: serializers.BaseSerializer[Any]) -> None:
        confirm, note = _taken(serializer)
        segment = Segment(**serializer.validated_data)
        segment.full_clean()
        delta = SegmentDelta(before=None, after=segment.as_state())
        moved = self._examined(None, delta, confirm)
        with segment_change(note=note, source=SOURCE, moved=moved):
            serializer.save()

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Refuses a version that is not the stored one any more."""
        segment = self.get_object()
        self._expected_version = require_version(request, segment)
        data: Any = request.data
        given = data.get("version") if isinstance(data, dict) else None
        if self._expected_version is not None and given not in {None, segment.version}:
            # An older version that says the same is as good; what else was read with it is old too.
            data.pop("version")
            data.pop("updated_at", None)
        return super().update(request, *args, **kwargs)

    def perform_update(self, serializer: serializers.BaseSerializer[Any]) -> None:
        confirm, note = _taken(serializer)
        segment: Segment = copy(serializer.instance)  # type: ignore[assignment]  # an update has one
        stored = segment.stored_state()
        for name, value in serializer.validated_data.items():
            setattr(segment, name, value)
        with fresh_rows():
            segment.full_clean()
        delta = SegmentDelta(before=stored, after=segment.as_state())
        moved = {} if delta.is_nothing else self._examined(segment.pk, delta, confirm)
        with segment_change(note=note, source=SOURCE, moved=moved):
            serializer.save()

    def perform_destroy(self, instance: Segment) -> None:
        require_version(self.request, instance)
        instance.refuse_if_named()
        delta = deletion_of(instance)
        moved = self._examined(instance.pk, delta, confirm_of(self.request))
        # A refusal undoes its own writes and nothing of a transaction around it.
        with segment_change(note=note_of(self.request), source=SOURCE, moved=moved):
            instance.delete()

    def _examined(self, pk: int | None, delta: SegmentDelta, confirm: object) -> dict[str, Moved]:
        """The numbers that are known now. Raises Refused."""
        examination = examine(pk, delta)
        require_confirmed(self.request, examination, confirm)
        return {examination.key: examination.moved}


class MemberFilter(filters.FilterSet):  # type: ignore[misc]  # it has no types
    kind = filters.ChoiceFilter(choices=SegmentMember.Kind.choices)

    class Meta:
        model = SegmentMember
        fields = ["kind"]


class MemberViewSet(viewsets.ModelViewSet[SegmentMember]):
    """The members of one segment, by the id of the user."""

    queryset = SegmentMember.objects.all()
    serializer_class = MemberSerializer
    permission_classes = [StaffModelPermissions]
    lookup_field = "user_id"
    lookup_value_regex = USER_PATTERN
    filterset_class = MemberFilter
    ordering_fields = ["created_at", "expires_at", "kind"]
    ordering = ["created_at"]

    def get_queryset(self) -> QuerySet[SegmentMember]:
        if "segment_key" not in self.kwargs:  # the schema is drawn without a request
            return SegmentMember.objects.none()
        return SegmentMember.objects.filter(segment=self._segment())

    def get_object(self) -> SegmentMember:
        with fresh_rows():
            return super().get_object()

    def perform_create(self, serializer: serializers.BaseSerializer[Any]) -> None:
        confirm, note = _taken(serializer)
        segment = self._segment()
        member = SegmentMember(segment=segment, **serializer.validated_data)
        with fresh_rows():
            member.full_clean()
        moved = self._examined(segment, member, None, member.as_state(), confirm)
        with segment_change(note=note, source=SOURCE, moved=moved):
            serializer.save(segment=segment)

    def perform_update(self, serializer: serializers.BaseSerializer[Any]) -> None:
        confirm, note = _taken(serializer)
        member: SegmentMember = copy(serializer.instance)  # type: ignore[assignment]  # as above
        before = member.as_state()
        for name, value in serializer.validated_data.items():
            setattr(member, name, value)
        with fresh_rows():
            member.full_clean()
        segment = self._segment()
        moved = self._examined(segment, member, before, member.as_state(), confirm)
        with segment_change(note=note, source=SOURCE, moved=moved):
            serializer.save()

    def perform_destroy(self, instance: SegmentMember) -> None:
        segment, confirm = self._segment(), confirm_of(self.request)
        moved = self._examined(segment, instance, instance.as_state(), None, confirm)
        with segment_change(note=note_of(self.request), source=SOURCE, moved=moved):
            instance.delete()

    def _examined(
        self,
        segment: Segment,
        member: SegmentMember,
        before: MemberState | None,
        after: MemberState | None,
        confirm: object,
    ) -> dict[str, Moved]:
        """The numbers that are known now. Raises Refused."""
        delta = membership_of(segment, {member.user_id: MemberDelta(before=before, after=after)})
        examination = examine(segment.pk, delta)
        require_confirmed(self.request, examination, confirm)
        return {examination.key: examination.moved}

    def _segment(self) -> Segment:
        with fresh_rows():
            return get_object_or_404(Segment, key=self.kwargs["segment_key"])


def _taken(serializer: serializers.BaseSerializer[Any]) -> tuple[object, str]:
    """`confirm` and `note`, taken out of what is written into the row."""
    data: dict[str, Any] = serializer.validated_data
    return data.pop("confirm", ""), data.pop("note", "")
