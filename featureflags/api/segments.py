"""Segments and their members, for staff with Django's permissions for them.

The models validate; what they refuse comes out as 400 by `config.exceptions`. A deletion that
another segment stands against is 409.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from rest_framework import serializers, viewsets

from featureflags.api.segment_serializers import MemberSerializer, SegmentSerializer
from featureflags.bypass import fresh_rows
from featureflags.models import Segment, SegmentMember
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

    def perform_destroy(self, instance: Segment) -> None:
        # A refusal undoes its own writes and nothing of a transaction around it.
        with transaction.atomic():
            instance.delete()


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
        serializer.save(segment=self._segment())

    def _segment(self) -> Segment:
        with fresh_rows():
            return get_object_or_404(Segment, key=self.kwargs["segment_key"])
