"""A copy of a segment, and a segment that becomes a list."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from featureflags.api.concurrency import ConfirmField, how_in, write
from featureflags.api.examples import request_example
from featureflags.api.policy import ApiPolicy
from featureflags.api.proposal_serializers import PlanFieldsSerializer
from featureflags.api.segment_serializers import NoteField, SegmentSerializer
from featureflags.api.strict import StrictBooleanField, StrictCharField
from featureflags.api.subjects import StaffWhoMayLook, segment_of
from featureflags.editing import copy_of, frozen
from featureflags.kinds.registry import user_kind


def _require(request: Request, *permissions: str) -> None:
    if not request.user.has_perms([f"featureflags.{each}" for each in permissions]):
        raise PermissionDenied


@request_example("A copy", {"key": "paying_copy", "name": "Copy of Paying"})
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
    names_segment = "key"
    permission_classes = [StaffWhoMayLook]

    @extend_schema(
        operation_id="segments_copy", request=CopySerializer, responses={201: SegmentSerializer}
    )
    def post(self, request: Request, key: str) -> Response:
        _require(request, "add_segment")
        data = CopySerializer.read(request.data)
        if data["members"]:
            _require(request, "add_segmentmember")
        change = copy_of(
            segment_of(key),
            key=data["key"],
            name=data["name"],
            owner=user_kind().key_of(request.user),
            with_members=data["members"],
        )
        made = write(request, change, **how_in(data))
        return Response(SegmentSerializer(made).data, status=201)


@request_example("Freeze it", {"confirm": True})
class FreezeSerializer(PlanFieldsSerializer):
    """Nothing but what every write has."""

    note = NoteField()
    confirm = ConfirmField()


class FreezeView(ApiPolicy):
    """Everybody who is in the segment now becomes a member by name, and its rules go.

    Refused where the list would be longer than the limit of members (422), and for a segment without rules.
    """

    is_confirmed = True
    names_segment = "key"
    permission_classes = [StaffWhoMayLook]

    @extend_schema(
        operation_id="segments_freeze", request=FreezeSerializer, responses=SegmentSerializer
    )
    def post(self, request: Request, key: str) -> Response:
        _require(request, "change_segment", "add_segmentmember", "change_segmentmember")
        how = how_in(FreezeSerializer.read(request.data))
        made = write(request, frozen(segment_of(key)), **how)
        made.refresh_from_db()
        return Response(SegmentSerializer(made).data)
