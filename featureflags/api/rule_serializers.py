"""The rules of a segment as the REST API takes and shows them: LaunchDarkly's JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from featureflags.api.serializers import AnyJSONField
from featureflags.api.strict import StrictSerializer
from featureflags.segments.operator_labels import OPERATORS
from featureflags.segments.percentages import WHOLE

RULE = {
    "id": "pro",
    "description": "On a plan that costs money",
    "clauses": [
        {"attribute": "custom_plan", "op": "in", "values": ["pro", "team"], "negate": False}
    ],
}


class ClauseSerializer(StrictSerializer[Any]):
    """One condition of a rule."""

    attribute = serializers.CharField(
        required=False, allow_null=True, help_text="Not needed for `segmentMatch`."
    )
    op = serializers.ChoiceField(choices=[(op, info.label) for op, info in OPERATORS.items()])
    values = serializers.ListField(child=AnyJSONField(), min_length=1)
    negate = serializers.BooleanField(required=False, allow_null=True)
    ignoreCase = serializers.BooleanField(  # noqa: N815 - as `negate`, in a clause
        required=False, allow_null=True, help_text="For text: upper and lower case are the same."
    )
    orMissing = serializers.BooleanField(  # noqa: N815 - as above
        required=False,
        allow_null=True,
        help_text="With `negate`: it holds for whom the attribute is missing, too.",
    )
    contextKind = serializers.CharField(  # noqa: N815 - LaunchDarkly's name
        required=False,
        allow_null=True,
        help_text=(
            "The kind of the segment. With it, an attribute may be a path: `/custom_address/city`."
        ),
    )


class RuleSerializer(StrictSerializer[Any]):
    """A user is in the segment if all conditions of any rule hold."""

    id = serializers.CharField(required=False, allow_null=True)
    description = serializers.CharField(required=False, allow_null=True)
    clauses = serializers.ListField(child=ClauseSerializer(), min_length=1)
    weight = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=WHOLE,
        help_text="Only so many of those who match, in thousandths of a per cent: 10000 is 10 %.",
    )
    bucketBy = serializers.CharField(  # noqa: N815 - LaunchDarkly's name
        required=False,
        allow_null=True,
        help_text="The attribute that decides who they are; `key` where it is left out.",
    )
    rolloutContextKind = serializers.CharField(  # noqa: N815 - LaunchDarkly's name
        required=False,
        allow_null=True,
        help_text="The kind of the segment. With it, `bucketBy` may be a path.",
    )


@extend_schema_field(RuleSerializer(many=True))
class RulesField(serializers.Field[Any, Any, Any, Any]):
    """Rules as LaunchDarkly writes them. The model validates them."""

    def to_internal_value(self, data: Any) -> Any:
        return data

    def to_representation(self, value: Any) -> Any:
        return value
