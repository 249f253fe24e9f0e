"""A copy of a segment, and a segment that becomes a list."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from featureflags.api.concurrency import ConfirmField, write
from featureflags.api.planning import plan_in
from featureflags.api.policy import ApiPolicy
from featureflags.api.proposal_serializers import PlanFieldsSerializer
from featureflags.api.segment_serializers import NoteField, SegmentSerializer
from featureflags.api.strict import StrictBooleanField, StrictCharField
from featureflags.api.subjects import StaffWhoMayLook
from featureflags.core.uncached import fresh_rows
from featureflags.editing import copy_of, frozen
from featureflags.kinds.registry import user_kind
from featureflags.models import Segment


def _segment(key: str) -> Segment:
    with fresh_rows():
        return get_object_or_404(Segment, key=key)


def _require(request: Request, *permissions: str) -> None:
    if not request.user.has_perms([f"featureflags.{each}" for each in permissions]):
        raise PermissionDenied


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A copy", value={"key": "paying_copy", "name": "Copy of Paying"}, request_only=True
        )
    ]
)
class CopySerializer(PlanFieldsSerializer):
    """The copy."""

    key = StrictCharField(max_length=100)
    name = StrictCharField(max_length=200)
    members = StrictBooleanField(default=False, help_text="true: with the members by name.")
    note = NoteField()
    confirm = ConfirmField()


class CopyView(ApiPolicy):
    """A new segment with the rules, the description and the tags of another one. The caller owns it."""

    is_confirmed = True
    permission_classes = [StaffWhoMayLook]

    @extend_schema(
        operation_id="segments_copy", request=CopySerializer, responses={201: SegmentSerializer}
    )
    def post(self, request: Request, key: str) -> Response:
        _require(request, "add_segment")
        asked = CopySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        data: dict[str, Any] = {**asked.validated_data}
        if data["members"]:
            _require(request, "add_segmentmember")
        change = copy_of(
            _segment(key),
            key=data["key"],
            name=data["name"],
            owner=user_kind().key_of(request.user),
            with_members=data["members"],
        )
        confirm, note = data.get("confirm", ""), data.get("note", "")
        made = write(request, change, confirm=confirm, note=note, plan=plan_in(data))
        return Response(SegmentSerializer(made).data, status=201)


@extend_schema_serializer(
    examples=[OpenApiExample("Freeze it", value={"confirm": True}, request_only=True)]
)
class FreezeSerializer(PlanFieldsSerializer):
    """Nothing but what every write has."""

    note = NoteField()
    confirm = ConfirmField()


class FreezeView(ApiPolicy):
    """Everybody who is in the segment now becomes a member by name, and its rules go.

    Refused where the list would be longer than the limit of members (422), and for a segment without rules.
    """

    is_confirmed = True
    permission_classes = [StaffWhoMayLook]

    @extend_schema(
        operation_id="segments_freeze", request=FreezeSerializer, responses=SegmentSerializer
    )
    def post(self, request: Request, key: str) -> Response:
        _require(request, "change_segment", "add_segmentmember", "change_segmentmember")
        asked = FreezeSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        data: dict[str, Any] = {**asked.validated_data}
        made = write(
            request,
            frozen(_segment(key)),
            confirm=data.get("confirm", ""),
            note=data.get("note", ""),
            plan=plan_in(data),
        )
        made.refresh_from_db()
        return Response(SegmentSerializer(made).data)
