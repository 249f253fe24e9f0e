"""The history of a segment over REST, and a restore. Both name the segment by key, and so work for a
deleted one."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from featureflags.api.concurrency import (
    LONGEST_NOTE,
    ConfirmField,
    how_in,
    kinds_seen,
    write,
)
from featureflags.api.examples import request_example, response_example
from featureflags.api.key_kinds import entries_seen
from featureflags.api.pagination import PAGE_PARAMETERS
from featureflags.api.policy import ApiPolicy
from featureflags.api.proposal_serializers import PlanFieldsSerializer
from featureflags.api.segment_serializers import SegmentSerializer
from featureflags.api.staff import StaffModelPermissions
from featureflags.api.strict import StrictCharField
from featureflags.api.subjects import StaffWhoMayLook
from featureflags.editing.history import describe, restoration
from featureflags.models import HistoryEntry, Segment


@response_example(
    "A change",
    {
        "id": 17,
        "version": 2,
        "kind": "changed",
        "at": "2026-11-26T10:15:00Z",
        "who": "Ada",
        "approved_by": "Ben",
        "is_emergency": False,
        "via": "REST API",
        "note": "In plain words",
        "changes": ["Name: “Paying” → “Payers”"],
        "entering": 0,
        "leaving": 12,
        "at_least": False,
    },
)
class ChangeSerializer(serializers.Serializer[Any]):
    """One change of a segment, in words and numbers."""

    id = serializers.IntegerField()
    version = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=HistoryEntry.Kind.choices)
    at = serializers.DateTimeField()
    who = serializers.CharField()
    approved_by = serializers.CharField(
        help_text="Who approved it; empty: nobody had to, or nobody did."
    )
    is_emergency = serializers.BooleanField(
        help_text="It needed an approval, and was made without."
    )
    via = serializers.CharField(
        source="source", help_text="Where the change came from, in words; may be empty."
    )
    note = serializers.CharField()
    changes = serializers.ListField(child=serializers.CharField(), source="lines")
    entering = serializers.IntegerField(
        source="moved.entering", default=None, allow_null=True, help_text="null: not counted."
    )
    leaving = serializers.IntegerField(source="moved.leaving", default=None, allow_null=True)
    at_least = serializers.BooleanField(source="moved.at_least", default=False)


class HistoryView(ApiPolicy, generics.GenericAPIView[Any]):
    """The changes of a segment, the newest first."""

    queryset = Segment.objects.all()
    permission_classes = [StaffModelPermissions]
    serializer_class = ChangeSerializer
    names_segment = "key"
    filter_backends = []
    query_parameters = PAGE_PARAMETERS

    @extend_schema(operation_id="segments_history", responses=ChangeSerializer(many=True))
    def get(self, request: Request, key: str) -> Response:
        entries = entries_seen(request, key)
        if not entries.exists():
            raise Http404
        page = self.paginate_queryset(entries) or []
        described = describe(page, sees=kinds_seen(request))
        return self.get_paginated_response(ChangeSerializer(described, many=True).data)


@request_example("Back to a change", {"change": 17, "note": "A mistake"})
class RestoreSerializer(PlanFieldsSerializer):
    """The version to restore."""

    change = serializers.IntegerField(help_text="The id of a change of this segment.")
    note = StrictCharField(required=False, allow_blank=True, max_length=LONGEST_NOTE, default="")
    confirm = ConfirmField()


class RestoreView(ApiPolicy, generics.GenericAPIView[Any]):
    """Make a segment again what it was after a change, or before it was deleted.

    Refused with 409 like any other change that has to be confirmed.
    """

    is_confirmed = True
    names_segment = "key"
    queryset = Segment.objects.all()
    permission_classes = [StaffWhoMayLook]
    serializer_class = RestoreSerializer
    filter_backends = []

    @extend_schema(operation_id="segments_restore", responses=SegmentSerializer)
    def post(self, request: Request, key: str) -> Response:
        data = RestoreSerializer.read(request.data)
        planned = restoration(get_object_or_404(entries_seen(request, key), pk=data["change"]))
        # To change, or to add: it depends on the segment.
        if not request.user.has_perms(planned.permissions):
            raise PermissionDenied
        segment = write(request, planned.change, **how_in(data))
        segment.refresh_from_db()
        return Response(SegmentSerializer(segment).data)
