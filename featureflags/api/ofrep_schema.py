"""OFREP as the OpenAPI schema shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from drf_spectacular.utils import (
    OpenApiParameter,
    PolymorphicProxySerializer,
    extend_schema_field,
    extend_schema_serializer,
)
from rest_framework import serializers

from featureflags.api.examples import request_example, response_example
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
ETAG: Final = OpenApiParameter(
    "ETag",
    location=OpenApiParameter.HEADER,
    response=["200", "304"],
    required=True,
    description="For `If-None-Match`.",
)


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


@request_example(
    "A user",
    {"context": {"targetingKey": "6d0c3a52-0000-4000-8000-000000000000"}},
    component_name="OfrepAsked",
)
class AskedSerializer(serializers.Serializer[Any]):
    """Whom the question is about."""

    context = SubjectField()  # type: ignore[assignment]  # a serializer's own name


@response_example("On by a rule", ANSWER, component_name="OfrepAnswer")
class AnswerSerializer(serializers.Serializer[Any]):
    """A flag's value. Without `value` the caller's own default holds."""

    key = serializers.CharField()
    value = AnyJSONField(required=False)
    reason = serializers.CharField()
    variant = serializers.CharField(allow_null=True, required=False)
    metadata = serializers.DictField(child=AnyJSONField())


@response_example(
    "No such flag",
    {
        "key": "new-checkout",
        "errorCode": "FLAG_NOT_FOUND",
        "errorDetails": "There is no such flag.",
    },
    status_codes=["404"],
    component_name="OfrepFailure",
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


@response_example("One flag", {"flags": [ANSWER], "metadata": {}}, component_name="OfrepAnswers")
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
