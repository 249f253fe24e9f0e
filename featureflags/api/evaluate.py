"""Flags of many subjects at once: the cache is asked once for each thousand, and no events are sent.

    POST /api/v1/flags/evaluate/   {"subjects": ["8a2c…", "91f0…"], "flags": ["new-checkout"]}
    {"results": [{"key": "8a2c…", "degraded": [], "flags": {"new-checkout": {"value": true, …}}}, …]}

For keys of programs, and for staff who may view users.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from featureflags.api.authentication import service_key
from featureflags.api.concurrency import kinds_seen
from featureflags.api.evaluate_bodies import (
    MOST_SUBJECTS,
    EvaluatedSerializer,
    EvaluateSerializer,
    LineSerializer,
    NDJSONRenderer,
    read_asked,
)
from featureflags.api.exceptions import OverLimit
from featureflags.api.flags import FlagView
from featureflags.api.key_kinds import may_ask
from featureflags.api.policy import ApiPolicy
from featureflags.api.problems import problem
from featureflags.contexts.results import Degradation
from featureflags.core.deadlines import Purpose, within
from featureflags.core.streaming import streamed
from featureflags.core.types import REQUEST_ID
from featureflags.evaluation import Evaluation, looking
from featureflags.evaluation.evaluate import evaluate_chosen
from featureflags.evaluation.openfeature_terms import reason_of
from featureflags.evaluation.resolve import contexts_for
from featureflags.kinds.snapshot import USER, Address
from featureflags.live.bootstrap import flags_for_browsers
from featureflags.models import Scope

logger = logging.getLogger(__name__)


class MayAskAboutAnybody(BasePermission):
    """A program with a key, or staff who may view the rows of a kind; `_require_kinds` asks for which."""

    def has_permission(self, request: Request, _view: APIView) -> bool:
        return service_key(request) is not None or bool(kinds_seen(request))


class EvaluateView(ApiPolicy):
    """Chosen flags of many users, or rows of other kinds. LaunchDarkly is sent no events.

    With `Accept: application/x-ndjson` the answer is one line for each user, sent while it is made; without
    it a request may name 1,000 users. If the service fails in the middle, the last line is a problem with
    `status` 500: ask again for the users after the line before it.
    """

    purpose = Purpose.FLAG_CHECK
    needed_scope = Scope.EVALUATE
    has_limits = True
    is_about_others = True
    permission_classes = [MayAskAboutAnybody]
    renderer_classes = [JSONRenderer, NDJSONRenderer]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """As DRF's. By GET this is the address of the flag that is called `evaluate`."""
        if request.method in {"GET", "HEAD"}:
            return FlagView.as_view()(request, key="evaluate")
        return super().dispatch(request, *args, **kwargs)

    @property
    def default_response_headers(self) -> dict[str, str]:
        """As DRF's, with the methods of the flag."""
        headers = super().default_response_headers
        return {**headers, "Allow": f"GET, HEAD, {headers['Allow']}"}

    @extend_schema(
        operation_id="flags_evaluate",
        request=EvaluateSerializer,
        responses={
            (200, JSONRenderer.media_type): EvaluatedSerializer,
            (200, NDJSONRenderer.media_type): LineSerializer,
        },
    )
    def post(self, request: Request) -> HttpResponseBase:
        named, keys = read_asked(request.data)
        flags, subjects = _visible(request, list(dict.fromkeys(keys))), list(dict.fromkeys(named))
        _require_kinds(request, subjects)
        if isinstance(request.accepted_renderer, NDJSONRenderer):
            lines = _lines(subjects, flags, request.META.get(REQUEST_ID))
            return streamed(request._request, lines, NDJSONRenderer.media_type)  # noqa: SLF001 - DRF has no public name for it
        if len(named) > MOST_SUBJECTS:
            why = f"For more than {MOST_SUBJECTS:,} send Accept: {NDJSONRenderer.media_type}."
            raise OverLimit({"subjects": [why]})
        body = msgspec.json.encode({"results": _results(subjects, flags)})
        return HttpResponse(body, content_type=JSONRenderer.media_type)


def _require_kinds(request: Request, subjects: Iterable[Address]) -> None:
    """Raises PermissionDenied for a kind that the caller may not ask about."""
    key, seen = service_key(request), frozenset[str]()
    if key is None:
        seen = kinds_seen(request)
    for kind in {USER if type(row) is str else row[0] for row in subjects}:
        if not (kind in seen if key is None else key.allows_kind(kind)):
            raise PermissionDenied(f"This caller may not ask about the kind {kind!r}.")


def _lines(
    subjects: Sequence[Address], flags: Sequence[str], request_id: str | None
) -> Iterator[bytes]:
    """A chunk of lines for each round trip to the cache; the last line says so if that failed.

    The status is sent by then, and an answer that just ends could be taken for a whole one.
    """
    for start in range(0, len(subjects), MOST_SUBJECTS):
        try:
            # The budget of the request is over when its answer is sent.
            with within(Purpose.FLAG_CHECK):
                results = _results(subjects[start : start + MOST_SUBJECTS], flags)
            chunk = b"".join(msgspec.json.encode(each) + b"\n" for each in results)
        except Exception:
            logger.exception("An answer in lines failed after %s of %s.", start, len(subjects))
            why = f"The service failed after {start:,} of {len(subjects):,} subjects."
            failure = problem(500, {"detail": why}, request_id=request_id)
            yield msgspec.json.encode(failure) + b"\n"
            return
        yield chunk


def _results(subjects: Sequence[Address], flags: Sequence[str]) -> list[dict[str, Any]]:
    with looking():
        return [
            _answers(
                key if type(key) is str else ":".join(key),
                evaluate_chosen(flags, context),
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
