"""The change that a body asks for; and what a write of it would do, without writing."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from featureflags.api.concurrency import examined_data
from featureflags.api.examples import request_example, response_example
from featureflags.api.key_kinds import require_kind
from featureflags.api.policy import ApiPolicy
from featureflags.api.problem_serializers import (
    EffectsSerializer,
    FlagUseSerializer,
    PartSerializer,
    ReasonsField,
)
from featureflags.api.rule_serializers import RULE
from featureflags.api.segment_serializers import SegmentUpdateSerializer
from featureflags.api.subjects import StaffWhoMayLook
from featureflags.core.uncached import fresh_rows
from featureflags.editing import Change, change_to, examine
from featureflags.models import Segment


def creation_of(given: Mapping[str, Any]) -> Change:
    """A new segment of these fields. Raises ValidationError."""
    segment = Segment(**given)
    segment.full_clean()
    return change_to(segment)


def update_of(stored: Segment, given: dict[str, Any], *, expected: int | None) -> Change:
    """These fields of a stored segment, and no others, so that it never undoes another user's change.

    `expected`: the version that must still be stored; None: any. Raises ValidationError.
    """
    segment = copy(stored)
    if given.get("is_archived") and "is_active" not in given:
        # The one goes with the other.
        given["is_active"] = False
    for name, value in given.items():
        setattr(segment, name, value)
    with fresh_rows():
        segment.full_clean()
    return replace(change_to(segment, columns=frozenset(given)), expected_version=expected)


@response_example(
    "One user enters",
    {
        "needs_approval": False,
        "reasons": ["flags"],
        "changes": ['Added rule 1: plan is any of "pro"'],
        "entering": {"at_least": 1, "exact": True},
        "leaving": {"at_least": 0, "exact": True},
        "flags_known": True,
        "flags": [],
        "effects": None,
        "needs_key": False,
        "confirm": "1uQxYz:4f0c…",
    },
)
class ExaminationSerializer(serializers.Serializer[Any]):
    """What a write would do."""

    needs_approval = serializers.BooleanField(
        help_text="true: somebody else must approve it. Send it with `propose`."
    )
    reasons = ReasonsField()
    changes = serializers.ListField(child=serializers.CharField(), help_text="In words.")
    entering = PartSerializer()
    leaving = PartSerializer()
    flags_known = serializers.BooleanField()
    flags = FlagUseSerializer(many=True)
    effects = EffectsSerializer(allow_null=True)
    needs_key = serializers.BooleanField(
        help_text="true: only the segment's key, as `confirm`, confirms the write."
    )
    confirm = serializers.CharField(
        allow_null=True,
        help_text="Send it as `confirm` with the write, which it is valid for alone.",
    )


@request_example("Other rules", {"rules": [RULE]})
class ExaminedSerializer(SegmentUpdateSerializer):
    """Fields of a segment, as a write takes them."""


class ExamineView(ApiPolicy):
    """What a write of these fields would do: nothing is written.

    A key that no segment has is that of a new one, which takes the permission to add segments.
    """

    has_limits = True
    names_segment = "key"
    permission_classes = [StaffWhoMayLook]

    @extend_schema(
        operation_id="segments_examine",
        request=ExaminedSerializer(partial=True),
        responses=ExaminationSerializer,
    )
    def post(self, request: Request, key: str) -> Response:
        stored = Segment.objects.fresh(key)
        verb = "add" if stored is None else "change"
        if not request.user.has_perm(f"featureflags.{verb}_segment"):
            raise PermissionDenied
        data = dict(request.data) if isinstance(request.data, Mapping) else request.data
        if stored is None and isinstance(data, dict):
            data.setdefault("key", key)
        asked = ExaminedSerializer(stored, data=data, partial=stored is not None)
        asked.is_valid(raise_exception=True)
        given: dict[str, Any] = asked.validated_data
        for name in ("version", "note", "confirm"):
            given.pop(name, None)
        if stored is None:
            change = creation_of({**given, "key": key})
        else:
            change = update_of(stored, given, expected=None)
        require_kind(request, change.state.kind)
        return Response(examined_data(request, examine(change, with_flags=True)))
