"""The history of a segment over REST, and an older version brought back. By the segment's key, so
that both work for one that is deleted."""

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
    SOURCE,
    ConfirmField,
    require_confirmed,
    sees_people,
)
from featureflags.api.segment_serializers import SegmentSerializer
from featureflags.editing.confirmation import examine
from featureflags.editing.history.entries import changes_of, entries
from featureflags.editing.history.restore import Restoration, restoration, restore
from featureflags.models import Segment, SegmentChange
from users.api.permissions import StaffModelPermissions
from users.api.strict import StrictCharField


class ChangeSerializer(serializers.Serializer[Any]):
    """One change of a segment, in words and numbers."""

    id = serializers.IntegerField()
    version = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=SegmentChange.Kind.choices)
    at = serializers.DateTimeField()
    who = serializers.CharField()
    via = serializers.CharField(
        source="source", help_text="On which way it came, in words; may be empty."
    )
    note = serializers.CharField()
    changes = serializers.ListField(child=serializers.CharField(), source="lines")
    entering = serializers.IntegerField(
        source="moved.entering", default=None, help_text="null: nobody counted."
    )
    leaving = serializers.IntegerField(source="moved.leaving", default=None)
    at_least = serializers.BooleanField(source="moved.at_least", default=False)


class ChangeListView(generics.GenericAPIView[Any]):
    """The changes of a segment, the newest first."""

    queryset = Segment.objects.all()
    permission_classes = [StaffModelPermissions]
    serializer_class = ChangeSerializer
    filter_backends = []

    @extend_schema(operation_id="segments_changes", responses=ChangeSerializer(many=True))
    def get(self, request: Request, key: str) -> Response:
        changes = changes_of(key)
        if not changes.exists():
            raise Http404
        page = self.paginate_queryset(changes.select_related("actor", "restored")) or []
        told = entries(page, with_addresses=sees_people(request))
        return self.get_paginated_response(ChangeSerializer(told, many=True).data)


class RestoreSerializer(serializers.Serializer[Any]):
    """Which version to bring back."""

    change = serializers.IntegerField(help_text="The id of a change of this segment.")
    note = StrictCharField(required=False, allow_blank=True, max_length=LONGEST_NOTE, default="")
    confirm = ConfirmField()


class StaffWhoMayLook(StaffModelPermissions):
    """To restore takes the permission to change, or to add; which one depends on the segment."""

    perms_map = {**StaffModelPermissions.perms_map, "POST": ["%(app_label)s.view_%(model_name)s"]}


class RestoreView(generics.GenericAPIView[Any]):
    """Make a segment again what it was after a change, or before it was deleted.

    Refused with 409 like any other change that has to be confirmed.
    """

    queryset = Segment.objects.all()
    permission_classes = [StaffWhoMayLook]
    serializer_class = RestoreSerializer

    @extend_schema(operation_id="segments_restore", responses=SegmentSerializer)
    def post(self, request: Request, key: str) -> Response:
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        data: dict[str, Any] = asked.validated_data
        planned = restoration(get_object_or_404(changes_of(key), pk=data["change"]))
        _require_to_write(request, planned)
        examination = examine(planned.segment_pk, planned.delta)
        require_confirmed(request, examination, data.get("confirm", ""))
        segment = restore(planned, note=data["note"], source=SOURCE, moved=examination.moved)
        segment.refresh_from_db()
        return Response(SegmentSerializer(segment).data)


def _require_to_write(request: Request, planned: Restoration) -> None:
    """Raises PermissionDenied. To restore is to change, or to add what is deleted."""
    wanted = ["change_segment" if planned.segment_pk is not None else "add_segment"]
    if planned.delta.members:
        wanted += [f"{verb}_segmentmember" for verb in ("add", "change", "delete")]
    if not request.user.has_perms([f"featureflags.{name}" for name in wanted]):
        raise PermissionDenied
