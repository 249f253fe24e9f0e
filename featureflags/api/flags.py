"""The flags of the caller: users by session or key, and visitors by their cookie.

Staff see every flag. Everybody else sees those for browsers: declared with `client_side=True`, or
marked so in LaunchDarkly. Any other key is 404, whether the flag exists or not.
"""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from featureflags.api.authentication import (
    ApiKeyAuthentication,
    FlagsSessionAuthentication,
    service_key,
)
from featureflags.api.pagination import PAGE_PARAMETERS, FlagPagination
from featureflags.api.policy import ApiPolicy
from featureflags.api.requests import http_request, is_staff
from featureflags.api.serializers import EvaluationSerializer, evaluation_data
from featureflags.contexts.building import visitor_context
from featureflags.contexts.results import Degradation
from featureflags.core.deadlines import Purpose
from featureflags.evaluation import Evaluation, all_flags, variation_detail
from featureflags.flags.declared import declared_flags
from featureflags.launchdarkly.evaluator import client_side_flags

AUTH: list[Any] = [{"session": []}, {"apiKey": []}, {}]
"""In the schema: the same as everywhere, and not even needed."""


class FlagListView(ApiPolicy):
    """All flags that the caller may see, sorted by key. LaunchDarkly is sent no events."""

    purpose = Purpose.FLAG_CHECK
    context_kind = "user"
    authentication_classes = [ApiKeyAuthentication, FlagsSessionAuthentication]
    permission_classes = [AllowAny]
    pagination_class = FlagPagination
    query_parameters = PAGE_PARAMETERS

    @extend_schema(operation_id="flags_list", auth=AUTH, responses=EvaluationSerializer(many=True))
    def get(self, request: Request) -> Response:
        in_full = is_staff(request)
        evaluations = all_flags(request=http_request(request))
        visible = evaluations.keys() if in_full else flags_for_browsers()
        shown = [
            evaluation_data(found, in_full=in_full)
            for key, found in evaluations.items()
            if key in visible and may_ask(request, key)
        ]
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(shown, request, view=self)
        return paginator.get_paginated_response(page)


class FlagView(ApiPolicy):
    """One flag, evaluated for the caller: LaunchDarkly counts it."""

    purpose = Purpose.FLAG_CHECK
    context_kind = "user"
    authentication_classes = [ApiKeyAuthentication, FlagsSessionAuthentication]
    permission_classes = [AllowAny]

    @extend_schema(operation_id="flags_retrieve", auth=AUTH, responses=EvaluationSerializer)
    def get(self, request: Request, key: str) -> Response:
        in_full = is_staff(request)
        if not may_ask(request, key) or (not in_full and key not in flags_for_browsers()):
            raise Http404
        evaluation = variation_detail(key, request=http_request(request))
        if _is_unknown(evaluation):
            raise Http404
        return Response(evaluation_data(evaluation, in_full=in_full))


def may_ask(request: Request, flag: str) -> bool:
    """False if the caller's key is for other flags."""
    key = service_key(request)
    return key is None or key.allows_flag(flag)


def flags_for_browsers() -> frozenset[str]:
    """The keys that anybody may see. LaunchDarkly marks flags, not users: any context will do."""
    declared = {key for key, flag in declared_flags().items() if flag.client_side}
    return client_side_flags(visitor_context(None).context) | declared


def _is_unknown(evaluation: Evaluation) -> bool:
    missing = Degradation.FLAG_NOT_FOUND in evaluation.degraded
    return missing and evaluation.flag not in declared_flags()
