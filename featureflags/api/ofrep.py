"""OFREP: any language and any browser asks for flags with OpenFeature's own clients.

    POST /ofrep/v1/evaluate/flags/{key}     one flag: LaunchDarkly counts it
    POST /ofrep/v1/evaluate/flags           all flags, with an ETag; no events are sent

The caller is a program with an API key. A key that is bound to origins is in a browser and public: it
sees the flags for browsers alone, without rules and prerequisites, and its attributes are not used.
"""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import patch_vary_headers
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from featureflags.api.authentication import ApiKeyAuthentication, service_key
from featureflags.api.etags import with_etag
from featureflags.api.key_kinds import require_kind
from featureflags.api.ofrep_bodies import (
    Asked,
    ErrorCode,
    Failure,
    evaluated,
    read_asked,
)
from featureflags.api.ofrep_schema import (
    ETAG,
    AnswerSerializer,
    AnswersSerializer,
    AskedSerializer,
    OfrepSchema,
)
from featureflags.api.policy import NOT_SHARED, ApiPolicy, UnknownAddress
from featureflags.api.schema import IF_NONE_MATCH, NOT_MODIFIED
from featureflags.contexts.new_visitors import unproven
from featureflags.contexts.results import Degradation
from featureflags.core.deadlines import Purpose
from featureflags.core.types import JSONValue
from featureflags.evaluation import UNSET, Evaluation, InvalidAttribute, all_flags
from featureflags.evaluation.arguments import Named
from featureflags.evaluation.evaluate import evaluate_one
from featureflags.evaluation.resolve import resolve
from featureflags.kinds.snapshot import kind_and_key
from featureflags.live.bootstrap import flags_for_browsers, rows_of
from featureflags.live.tickets import stream_path
from featureflags.models import Scope, ServiceKey

CODES: Final = {400: ErrorCode.PARSE_ERROR, 404: ErrorCode.FLAG_NOT_FOUND}
"""By the status of what REST framework refuses; every other is GENERAL."""


class OfrepView(ApiPolicy):
    """What both addresses share: the caller, and errors in OFREP's form."""

    purpose = Purpose.FLAG_CHECK
    needed_scope = Scope.EVALUATE
    authentication_classes = [ApiKeyAuthentication]
    http_method_names = ["post", "options"]
    schema = OfrepSchema()

    def asked(self, request: Request) -> tuple[ServiceKey, Asked]:
        """The caller's key, and whom they ask about. Raises Failure."""
        key = service_key(request)
        if key is None:
            raise exceptions.NotAuthenticated
        asked = read_asked(request.data, takes_attributes=not key.origins)
        require_kind(request, asked.kind)
        return key, asked

    def handle_exception(self, exc: Exception) -> Response:
        """Every failure is an answer of OFREP, with its status."""
        if isinstance(exc, Failure):
            return Response(exc.body(self.kwargs.get("key")), exc.status)
        answer = super().handle_exception(exc)
        data: Any = answer.data
        details = data.get("detail") if isinstance(data, dict) else None
        code = CODES.get(answer.status_code, ErrorCode.GENERAL)
        failure = Failure(answer.status_code, code, str(details or "The request is not valid."))
        answer.data = failure.body(self.kwargs.get("key"))
        answer.content_type = None
        return answer

    @classmethod
    def refusal(cls, _request: HttpRequest, status: int, detail: str) -> HttpResponse:
        body = Failure(status, CODES.get(status, ErrorCode.GENERAL), detail).body()
        return JsonResponse(body, status=status, headers={"Cache-Control": NOT_SHARED})

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """An answer is for this caller and this subject alone."""
        patch_vary_headers(response, ["Origin"])
        return super().finalize_response(request, response, *args, **kwargs)


class FlagView(OfrepView):
    """One flag, evaluated for a user: LaunchDarkly counts it."""

    @extend_schema(operation_id="ofrep_flag", request=AskedSerializer, responses=AnswerSerializer)
    def post(self, request: Request, key: str) -> Response:
        caller, asked = self.asked(request)
        is_public = bool(caller.origins)
        if not caller.allows_flag(key) or (is_public and key not in flags_for_browsers()):
            raise Failure(404, ErrorCode.FLAG_NOT_FOUND, "There is no such flag.")
        try:
            whom, visitor = _whom(asked)
            context = resolve(whom, anonymous_key=visitor)
            # Who reads the key in a page may send any subject: only rows count as people in events.
            context = unproven(context) if is_public else context
            found: Evaluation = evaluate_one(key, context, UNSET, asked.extra)
        except InvalidAttribute as error:
            raise Failure(400, ErrorCode.INVALID_CONTEXT, str(error)) from None
        answer = evaluated(found, is_public=is_public)
        answer["metadata"] = {**answer["metadata"], **asked.metadata()}  # type: ignore[dict-item]
        return Response(answer)


class FlagsView(OfrepView):
    """All flags that the caller may ask for. LaunchDarkly is sent no events."""

    @extend_schema(
        operation_id="ofrep_flags",
        request=AskedSerializer,
        responses={200: AnswersSerializer, 304: NOT_MODIFIED},
        parameters=[IF_NONE_MATCH, ETAG],
    )
    def post(self, request: Request) -> Response:
        caller, asked = self.asked(request)
        is_public = bool(caller.origins)
        try:
            whom, visitor = _whom(asked)
            every = all_flags(whom, anonymous_key=visitor, attributes=asked.extra)
        except InvalidAttribute as error:
            raise Failure(400, ErrorCode.INVALID_CONTEXT, str(error)) from None
        visible = flags_for_browsers() if is_public else every.keys()
        flags = [
            _one_of_all(found, is_public=is_public)
            for key, found in every.items()
            if key in visible and caller.allows_flag(key) and _is_known(found)
        ]
        body: dict[str, JSONValue] = {"flags": flags, "metadata": asked.metadata()}
        tagged = dict(body)
        body |= _event_streams(request, caller, asked)
        return with_etag(request, body, tagged=tagged)


class UnknownView(UnknownAddress, OfrepView):
    """An address that OFREP does not have."""


def _event_streams(request: Request, caller: ServiceKey, asked: Asked) -> dict[str, JSONValue]:
    """Where to listen for changes. Under WSGI there is none, and clients poll."""
    rows = () if asked.is_anonymous else rows_of(resolve(asked.subject))
    who = ":".join(kind_and_key(rows[0])) if rows else asked.key
    path = stream_path(who=who, keys=rows, api_key=caller.pk)
    if path is None:
        return {}
    return {"eventStreams": [{"type": "sse", "url": request.build_absolute_uri(path)}]}


def _whom(asked: Asked) -> tuple[Named | None, str | None]:
    """A row, or the key of a visitor."""
    return (None, asked.key) if asked.is_anonymous else (asked.subject, None)


def _one_of_all(found: Evaluation, *, is_public: bool) -> JSONValue:
    """One flag; what fails for one flag is said there. Raises Failure if there are no flags at all."""
    try:
        # Whether the cache had the row changes no value: clients that poll would take it for a change.
        return evaluated(found, is_public=is_public, with_source=False)
    except Failure as failure:
        if Degradation.LAUNCHDARKLY_UNAVAILABLE in found.degraded:
            raise
        return failure.body(found.flag)


def _is_known(found: Evaluation) -> bool:
    """False for a flag that is declared here and that LaunchDarkly does not have."""
    return Degradation.FLAG_NOT_FOUND not in found.degraded
