"""Flags of many subjects at once: the cache is asked once for each thousand, and no events are sent.

    POST /api/v1/flags/evaluate/   {"subjects": ["8a2c…", "91f0…"], "flags": ["new-checkout"]}
    {"results": [{"key": "8a2c…", "degraded": [], "flags": {"new-checkout": {"value": true, …}}}, …]}

For keys of programs, and for staff who may view users.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from featureflags.api.authentication import service_key
from featureflags.api.concurrency import kinds_seen
from featureflags.api.exceptions import OverLimit
from featureflags.api.flags import may_ask
from featureflags.api.policy import ApiPolicy
from featureflags.api.serializers import DEGRADATIONS, AnyJSONField
from featureflags.api.strict import StrictCharField, StrictSerializer
from featureflags.contexts.results import Degradation
from featureflags.core.deadlines import Purpose, within
from featureflags.core.streaming import streamed
from featureflags.evaluation import UNSET, Evaluation, looking
from featureflags.evaluation.arguments import canonical_address, parse_subject
from featureflags.evaluation.evaluate import evaluate_one
from featureflags.evaluation.openfeature_terms import reason_of
from featureflags.evaluation.resolve import contexts_for
from featureflags.kinds.snapshot import USER, Address
from featureflags.live.bootstrap import flags_for_browsers
from featureflags.models import Scope

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


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "One flag of one user",
            value={"subjects": [EXAMPLE], "flags": ["new-checkout"]},
            request_only=True,
        )
    ]
)
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


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "One flag of one user",
            value={
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
            response_only=True,
        )
    ]
)
class EvaluatedSerializer(serializers.Serializer[Any]):
    """In the order of the subjects."""

    results = SubjectSerializer(many=True)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "One line",
            value={
                "key": EXAMPLE,
                "degraded": [],
                "flags": {
                    "new-checkout": {"value": True, "variation": 0, "reason": "TARGETING_MATCH"}
                },
            },
            media_type=NDJSONRenderer.media_type,
            response_only=True,
        )
    ]
)
class LineSerializer(SubjectSerializer):
    """One line of an answer in lines."""


class MayAskAboutAnybody(BasePermission):
    """A program with a key, or staff who may view the rows of a kind; `_require_kinds` asks for which."""

    def has_permission(self, request: Request, _view: APIView) -> bool:
        return service_key(request) is not None or bool(kinds_seen(request))


class EvaluateView(ApiPolicy):
    """Chosen flags of many users, or rows of other kinds. LaunchDarkly is sent no events.

    With `Accept: application/x-ndjson` the answer is one line for each user, sent while it is made; without
    it a request may name 1,000 users.
    """

    purpose = Purpose.FLAG_CHECK
    needed_scope = Scope.EVALUATE
    has_limits = True
    permission_classes = [MayAskAboutAnybody]
    renderer_classes = [JSONRenderer, NDJSONRenderer]

    @extend_schema(
        operation_id="flags_evaluate",
        request=EvaluateSerializer,
        responses={
            (200, JSONRenderer.media_type): EvaluatedSerializer,
            (200, NDJSONRenderer.media_type): LineSerializer,
        },
    )
    def post(self, request: Request) -> HttpResponseBase:
        named, keys = _asked(request.data)
        flags, subjects = _visible(request, list(dict.fromkeys(keys))), list(dict.fromkeys(named))
        _require_kinds(request, subjects)
        if isinstance(request.accepted_renderer, NDJSONRenderer):
            lines = _lines(subjects, flags)
            return streamed(request._request, lines, NDJSONRenderer.media_type)  # noqa: SLF001 - DRF has no public name for it
        if len(named) > MOST_SUBJECTS:
            why = f"For more than {MOST_SUBJECTS:,} send Accept: {NDJSONRenderer.media_type}."
            raise OverLimit({"subjects": [why]})
        body = msgspec.json.encode({"results": _results(subjects, flags)})
        return HttpResponse(body, content_type=JSONRenderer.media_type)


def _address_of(text: str) -> Address:
    return canonical_address(parse_subject(text))


def _require_kinds(request: Request, subjects: Iterable[Address]) -> None:
    """Raises PermissionDenied for a kind that the caller may not ask about."""
    key, seen = service_key(request), frozenset[str]()
    if key is None:
        seen = kinds_seen(request)
    for kind in {USER if type(row) is str else row[0] for row in subjects}:
        if not (kind in seen if key is None else key.allows_kind(kind)):
            raise PermissionDenied(f"This caller may not ask about the kind {kind!r}.")


def _asked(data: Any) -> tuple[list[Address], list[str]]:
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
    asked = EvaluateSerializer(data=data)
    asked.is_valid(raise_exception=True)
    return asked.validated_data["subjects"], asked.validated_data["flags"]


def _are_texts(found: object, most: int) -> bool:
    return (
        type(found) is list
        and 0 < len(found) <= most
        and all(
            type(one) is str and 0 < len(one) <= LONGEST_KEY and one == one.strip() for one in found
        )
    )


def _lines(subjects: Sequence[Address], flags: Sequence[str]) -> Iterator[bytes]:
    """A chunk of lines for each round trip to the cache."""
    for start in range(0, len(subjects), MOST_SUBJECTS):
        # The budget of the request is over when its answer is sent.
        with within(Purpose.FLAG_CHECK):
            results = _results(subjects[start : start + MOST_SUBJECTS], flags)
        yield b"".join(msgspec.json.encode(each) + b"\n" for each in results)


def _results(subjects: Sequence[Address], flags: Sequence[str]) -> list[dict[str, Any]]:
    with looking():
        return [
            _answers(
                key if type(key) is str else ":".join(key),
                [evaluate_one(flag, context, UNSET, None) for flag in flags],
            )
            for key, context in contexts_for(subjects).items()
        ]


def _visible(request: Request, flags: list[str]) -> list[str]:
    """Those that the caller may ask for. A key of a browser sees the flags for browsers alone."""
    key = service_key(request)
    for_browsers = flags_for_browsers() if key is not None and key.origins else None
    return [
        flag
        for flag in flags
        if may_ask(request, flag) and (for_browsers is None or flag in for_browsers)
    ]


def _answers(key: str, found: list[Evaluation]) -> dict[str, Any]:
    degraded = {why for one in found for why in one.degraded} - {Degradation.FLAG_NOT_FOUND}
    return {
        "key": key,
        "degraded": sorted(degraded),
        "flags": {
            one.flag: {
                "value": one.value,
                "variation": one.variation,
                "reason": reason_of(one),
            }
            for one in found
            if Degradation.FLAG_NOT_FOUND not in one.degraded
        },
    }
