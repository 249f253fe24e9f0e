"""What `flags/evaluate/` is asked, and what it answers: the serializers, and a fast way past them."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import serializers
from rest_framework.renderers import JSONRenderer

from featureflags.api.examples import request_example, response_example
from featureflags.api.serializers import DEGRADATIONS, AnyJSONField
from featureflags.api.strict import StrictCharField, StrictSerializer
from featureflags.evaluation.arguments import canonical_address, parse_subject
from featureflags.kinds.snapshot import Address

MOST_SUBJECTS: Final = 1000
MOST_STREAMED: Final = 50_000
MOST_FLAGS: Final = 100
LONGEST_KEY: Final = 256
EXAMPLE: Final = "6d0c3a52-0000-4000-8000-000000000000"


class NDJSONRenderer(JSONRenderer):
    """JSON in lines. Errors are one document."""

    media_type = "application/x-ndjson"
    format = "ndjson"


class SubjectField(StrictCharField):
    """The key of a user, or kind and key as `organization:acme`. An e-mail address never is one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=LONGEST_KEY, trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> Any:
        key = super().to_internal_value(data)
        try:
            return _address_of(key)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None


@request_example("One flag of one user", {"subjects": [EXAMPLE], "flags": ["new-checkout"]})
class EvaluateSerializer(StrictSerializer[Any]):
    """Whom and what is asked."""

    subjects = serializers.ListField(
        child=SubjectField(),
        min_length=1,
        max_length=MOST_STREAMED,
        help_text=(
            "Keys of users, and rows of other kinds as `organization:acme`: at most"
            f" {MOST_SUBJECTS:,}, or {MOST_STREAMED:,} with an answer in lines. One"
            " that occurs twice is answered once."
        ),
    )
    flags = serializers.ListField(
        child=StrictCharField(max_length=LONGEST_KEY),
        min_length=1,
        max_length=MOST_FLAGS,
        help_text=f"Keys of flags, at most {MOST_FLAGS}.",
    )


class ValueSerializer(serializers.Serializer[Any]):
    """The answer to one flag."""

    value = AnyJSONField()
    variation = serializers.IntegerField(allow_null=True)
    reason = serializers.CharField(help_text="OpenFeature's: TARGETING_MATCH, STATIC, …")


class SubjectSerializer(serializers.Serializer[Any]):
    """The answers for one subject. A flag that there is not is left out."""

    key = serializers.CharField()
    degraded = serializers.ListField(child=serializers.ChoiceField(choices=DEGRADATIONS))
    flags = serializers.DictField(child=ValueSerializer())


@response_example(
    "One flag of one user",
    {
        "results": [
            {
                "key": EXAMPLE,
                "degraded": [],
                "flags": {
                    "new-checkout": {
                        "value": True,
                        "variation": 0,
                        "reason": "TARGETING_MATCH",
                    }
                },
            }
        ]
    },
)
class EvaluatedSerializer(serializers.Serializer[Any]):
    """In the order of the subjects."""

    results = SubjectSerializer(many=True)


@response_example(
    "One line",
    {
        "key": EXAMPLE,
        "degraded": [],
        "flags": {"new-checkout": {"value": True, "variation": 0, "reason": "TARGETING_MATCH"}},
    },
    media_type=NDJSONRenderer.media_type,
)
class LineSerializer(SubjectSerializer):
    """One line of an answer in lines."""


def read_asked(data: Any) -> tuple[list[Address], list[str]]:
    """Subjects and flags. Raises ValidationError, in the words of the serializer.

    The serializer costs more than the answer: only what is wrong is given to it.
    """
    if type(data) is dict and data.keys() == {"subjects", "flags"}:
        subjects, flags = data["subjects"], data["flags"]
        if _are_texts(subjects, MOST_STREAMED) and _are_texts(flags, MOST_FLAGS):
            try:
                return [_address_of(key) for key in subjects], flags
            except ValueError:
                pass
    asked = EvaluateSerializer.read(data)
    return asked["subjects"], asked["flags"]


def _are_texts(found: object, most: int) -> bool:
    return (
        type(found) is list
        and 0 < len(found) <= most
        and all(
            type(one) is str and 0 < len(one) <= LONGEST_KEY and one == one.strip() for one in found
        )
    )


def _address_of(text: str) -> Address:
    return canonical_address(parse_subject(text))
