"""How a segment overlaps with one or two others."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import (
    OpenApiParameter,
    extend_schema,
)
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from featureflags.api.examples import response_example
from featureflags.api.policy import ApiPolicy
from featureflags.api.requests import required_parameter
from featureflags.api.subjects import StaffWhoMayLook
from featureflags.audience import NotComparable, Overlap, Place, overlap_of
from featureflags.cache.compiled_rules import known_ruleset

SECONDS: Final = 5.0


class OverlapPartSerializer(serializers.Serializer[Any]):
    """One combination of the segments."""

    within = serializers.ListField(child=serializers.CharField(), help_text="In all of these.")
    outside = serializers.ListField(child=serializers.CharField(), help_text="In none of these.")
    count = serializers.IntegerField(min_value=0)


@response_example(
    "Two segments",
    {
        "exact": True,
        "rows": 5000,
        "parts": [
            {"within": ["paying", "beta"], "outside": [], "count": 30},
            {"within": ["paying"], "outside": ["beta"], "count": 1170},
            {"within": ["beta"], "outside": ["paying"], "count": 20},
            {"within": [], "outside": ["paying", "beta"], "count": 3780},
        ],
    },
)
class OverlapSerializer(serializers.Serializer[Any]):
    """How many are in each combination."""

    exact = serializers.BooleanField(help_text="false: each number is a lower bound.")
    rows = serializers.IntegerField(min_value=0, help_text="All that were counted.")
    parts = OverlapPartSerializer(many=True)


class OverlapView(ApiPolicy):
    """How many users are in this segment and in others, or in one and not in another."""

    names_segment = "key"
    permission_classes = [StaffWhoMayLook]
    query_parameters = frozenset({"other", "third"})

    @extend_schema(
        operation_id="segments_overlap",
        parameters=[
            OpenApiParameter(
                "other", str, required=True, description="The key of another segment."
            ),
            OpenApiParameter("third", str, description="The key of a third one."),
        ],
        responses=OverlapSerializer,
    )
    def get(self, request: Request, key: str) -> Response:
        ruleset = known_ruleset().ruleset
        if key not in ruleset.definitions:
            raise NotFound
        named = [key, required_parameter(request, "other")]
        if third := request.query_params.get("third"):
            named.append(third)
        try:
            found = overlap_of(ruleset, named, seconds=SECONDS)
        except NotComparable as error:
            raise ValidationError({"other": [str(error)]}) from error
        return Response(_as_data(found))


def _as_data(found: Overlap) -> dict[str, Any]:
    def named(place: Place, *, is_in: bool) -> list[str]:
        return [key for key, at in zip(found.keys, place, strict=True) if at is is_in]

    return {
        "exact": found.is_exact,
        "rows": found.rows,
        "parts": [
            {
                "within": named(place, is_in=True),
                "outside": named(place, is_in=False),
                "count": number,
            }
            for place, number in found.counts.items()
        ],
    }
