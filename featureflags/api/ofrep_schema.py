"""OFREP as the OpenAPI schema shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema_field,
    extend_schema_serializer,
)
from rest_framework import serializers

from featureflags.api.ofrep_bodies import LONGEST_KEY, ErrorCode
from featureflags.api.schema import ApiSchema
from featureflags.api.serializers import AnyJSONField

ANSWER: Final = {
    "key": "new-checkout",
    "value": True,
    "reason": "TARGETING_MATCH",
    "variant": "0",
    "metadata": {"source": "cache"},
}
IF_NONE_MATCH: Final = OpenApiParameter(
    "If-None-Match",
    location=OpenApiParameter.HEADER,
    description="The `ETag` of an answer: 304 if nothing has changed since.",
)
ETAG: Final = OpenApiParameter(
    "ETag",
    location=OpenApiParameter.HEADER,
    response=["200", "304"],
    required=True,
    description="For `If-None-Match`.",
)
NOT_MODIFIED: Final = OpenApiResponse(None, "Nothing has changed.")


@extend_schema_field(
    {
        "type": "object",
        "required": ["targetingKey"],
        "properties": {
            "targetingKey": {
                "type": "string",
                "minLength": 1,
                "maxLength": LONGEST_KEY,
                "description": "The key of a user, and never an e-mail address.",
            },
            "kind": {
                "type": "string",
                "description": "The kind of the row, such as `organization`; without it `user`.",
            },
            "anonymous": {"type": "boolean", "description": "true: no row is read."},
        },
        "additionalProperties": {},
    }
)
class SubjectField(serializers.DictField):
    """Whom the flags are evaluated for. What the database decides cannot be claimed."""


@extend_schema_serializer(
    component_name="OfrepAsked",
    examples=[
        OpenApiExample(
            "A user",
            value={"context": {"targetingKey": "6d0c3a52-0000-4000-8000-000000000000"}},
            request_only=True,
        )
    ],
)
class AskedSerializer(serializers.Serializer[Any]):
    """Whom the question is about."""

    context = SubjectField()  # type: ignore[assignment]  # a serializer's own name


@extend_schema_serializer(
    component_name="OfrepAnswer",
    examples=[OpenApiExample("On by a rule", value=ANSWER, response_only=True)],
)
class AnswerSerializer(serializers.Serializer[Any]):
    """A flag's value. Without `value` the caller's own default holds."""

    key = serializers.CharField()
    value = AnyJSONField(required=False)
    reason = serializers.CharField()
    variant = serializers.CharField(allow_null=True, required=False)
    metadata = serializers.DictField(child=AnyJSONField())


@extend_schema_serializer(
    component_name="OfrepFailure",
    examples=[
        OpenApiExample(
            "No such flag",
            value={
                "key": "new-checkout",
                "errorCode": "FLAG_NOT_FOUND",
                "errorDetails": "There is no such flag.",
            },
            response_only=True,
            status_codes=["404"],
        )
    ],
)
class FailureSerializer(serializers.Serializer[Any]):
    """Why there is no value."""

    key = serializers.CharField(required=False)
    errorCode = serializers.ChoiceField(choices=[code.value for code in ErrorCode])  # noqa: N815
    errorDetails = serializers.CharField()  # noqa: N815 - OFREP's names


ONE: Final = PolymorphicProxySerializer(
    component_name="OfrepFlag",
    serializers=[AnswerSerializer, FailureSerializer],
    resource_type_field_name=None,
    many=True,
)


@extend_schema_field(ONE)
class FlagsField(serializers.ListField):
    """Each flag's value, or why it has none."""


@extend_schema_serializer(component_name="OfrepEventStream")
class EventStreamSerializer(serializers.Serializer[Any]):
    """Server-sent events that say when to ask again. None under WSGI: poll."""

    type = serializers.ChoiceField(choices=["sse"])
    url = serializers.URLField()


@extend_schema_serializer(
    component_name="OfrepAnswers",
    examples=[
        OpenApiExample("One flag", value={"flags": [ANSWER], "metadata": {}}, response_only=True)
    ],
)
class AnswersSerializer(serializers.Serializer[Any]):
    """All flags."""

    flags = FlagsField()
    metadata = serializers.DictField(child=AnyJSONField())
    eventStreams = EventStreamSerializer(many=True, required=False)  # noqa: N815 - OFREP's name


class OfrepSchema(ApiSchema):
    """Errors are OFREP's own, also those of the caller's key."""

    error_type = "application/json"

    def _errors(self) -> Iterator[int]:
        yield from super()._errors()
        yield from (404, 500)

    def _problem_of(self, _status: str) -> Any:
        return FailureSerializer
