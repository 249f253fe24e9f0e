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

from featureflags.api.authentication import ApiKeyAuthentication, FlagsSessionAuthentication
from featureflags.api.etags import with_etag
from featureflags.api.key_kinds import may_ask
from featureflags.api.ofrep_schema import ETAG
from featureflags.api.pagination import PAGE_PARAMETERS, FlagPagination
from featureflags.api.policy import ApiPolicy
from featureflags.api.requests import http_request, is_staff
from featureflags.api.schema import IF_NONE_MATCH, NOT_MODIFIED
from featureflags.api.serializers import BootstrapSerializer, EvaluationSerializer, evaluation_data
from featureflags.contexts.results import Degradation
from featureflags.core.deadlines import Purpose
from featureflags.evaluation import Evaluation, all_flags, variation_detail
from featureflags.flags.declared import declared_flags
from featureflags.live.bootstrap import bootstrap, flags_for_browsers

AUTH: list[Any] = [{"session": []}, {"apiKey": []}, {}]
"""In the schema: the same as everywhere, and not even needed."""


AUTH_OF_PAGES: list[Any] = [{"session": []}, {}]


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


class BootstrapView(ApiPolicy):
    """What `{% flags_bootstrap %}` writes into a page: for applications that render no template.

    With an ETag: the answer to an `If-None-Match` that still holds is 304. No events are sent.
    """

    purpose = Purpose.FLAG_CHECK
    authentication_classes = [FlagsSessionAuthentication]
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="flags_bootstrap",
        auth=AUTH_OF_PAGES,
        responses={200: BootstrapSerializer, 304: NOT_MODIFIED},
        parameters=[IF_NONE_MATCH, ETAG],
    )
    def get(self, request: Request) -> Response:
        body = bootstrap(http_request(request))
        tagged = {name: value for name, value in body.items() if name != "events"}
        return with_etag(request, body, tagged=tagged)


def _is_unknown(evaluation: Evaluation) -> bool:
    missing = Degradation.FLAG_NOT_FOUND in evaluation.degraded
    return missing and evaluation.flag not in declared_flags()
