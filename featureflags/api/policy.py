"""What every view of this API does alike, whatever `REST_FRAMEWORK` in the project's settings says."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import patch_vary_headers
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import status
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.filters import OrderingFilter, SearchFilter
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import SAFE_METHODS, AllowAny, IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from featureflags.api.authentication import ApiKeyAuthentication
from featureflags.api.credentials import SessionAuthentication
from featureflags.api.exceptions import PlannedInstead, exception_handler
from featureflags.api.filters import StableOrderingFilter, WordsFilter
from featureflags.api.idempotency import Handler, idempotency_key, once
from featureflags.api.key_kinds import require_kind_of
from featureflags.api.pagination import PAGE_PARAMETERS, Pages
from featureflags.api.parsers import NOT_STORABLE, JSONParser, prepare_body
from featureflags.api.problems import CONTENT_TYPE, problem
from featureflags.api.proposal_serializers import PLAN_FIELDS
from featureflags.api.requests import require_heeded
from featureflags.api.schema import ApiSchema
from featureflags.api.throttling import CallerThrottle
from featureflags.core.input_gate import is_storable
from featureflags.core.types import REQUEST_ID
from featureflags.models import Scope

LIST_FILTERS: Final[list[Any]] = [DjangoFilterBackend, WordsFilter, StableOrderingFilter]
"""`filter_backends` of a list."""

NOT_SHARED: Final = "private, no-store"
MAY_BE_EMPTY: Final = frozenset({"search", "note", "confirm"})
"""Parameters of free text."""


class ByAccept(DefaultContentNegotiation):
    """The header `Accept` chooses the form. DRF's parameter `format` is unknown here, like any other."""

    def filter_renderers(self, renderers: Any, _format: str) -> Any:
        return renderers


class ApiPolicy(APIView):
    """The first base of each view."""

    # A key that is sent counts, whatever cookies come with it.
    authentication_classes: Any = [ApiKeyAuthentication, SessionAuthentication]
    permission_classes: Any = [IsAuthenticated]
    throttle_classes: Any = [CallerThrottle]
    # JSON alone: the browsable pages would ask the database once more to say that it is down.
    renderer_classes = [JSONRenderer]
    content_negotiation_class = ByAccept
    parser_classes = [JSONParser]
    pagination_class: Any = Pages
    versioning_class = None
    has_a_gate = True
    """Text that no database stores is refused here, as a problem, and not by the middleware."""
    is_confirmed = False
    """True: a write may be refused with 409 until it is confirmed."""
    has_versions = False
    """True: a row has an `ETag`, and a write may name it with `If-Match`."""
    is_about_others = False
    """True: who may ask learns something of other people than themselves, also where it answers flags."""
    has_limits = False
    """True: what reads a body may find it over a limit of the settings, as every write may: 422."""
    names_segment = ""
    """The part of the address that is the key of a segment: a key for other kinds is refused."""
    query_parameters: frozenset[str] = frozenset()
    """What a GET reads beside the filters and pages of a viewset's list."""
    schema: Any = ApiSchema()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """As DRF's. A parameter that there is not is refused: a misspelt filter would list everybody."""
        prepare_body(request._request)  # noqa: SLF001 - DRF has no public name for it
        super().initial(request, *args, **kwargs)
        method = str(request.method).lower()
        if method not in self.http_method_names or not hasattr(self, method):
            self.http_method_not_allowed(request)
        if not all(is_storable(str(value)) for value in kwargs.values()):
            raise NotFound
        if self.names_segment in kwargs:
            require_kind_of(request, kwargs[self.names_segment])
        if self.is_confirmed and self._writes(request):
            setattr(self, method, _or_planned(getattr(self, method)))
        if self._writes(request):
            require_heeded(request, self._heeds(request))
        key = idempotency_key(request) if self._writes(request) else None
        if key is not None:
            # DRF asks the view for its handler next.
            setattr(self, method, once(getattr(self, method), key))
        self._require_parameters(request)

    def _require_parameters(self, request: Request) -> None:
        """Raises ValidationError for a parameter that would be ignored, or read in part."""
        unknown = sorted(set(request.query_params) - self._parameters(request))
        if unknown:
            raise ValidationError({name: ["There is no such parameter."] for name in unknown})
        for name, values in request.query_params.lists():
            if not all(map(is_storable, values)):
                raise ValidationError({name: [NOT_STORABLE]})
            if "" in values and name not in MAY_BE_EMPTY:
                # A filter without a value would list everybody.
                raise ValidationError({name: ["Send a value, or leave the parameter out."]})
            if len(values) > 1:
                raise ValidationError({name: ["Send this parameter once."]})

    def check_permissions(self, request: Request) -> None:
        """As DRF's, after the limits of calls: who is refused has called too."""
        super().check_throttles(request)
        super().check_permissions(request)

    def check_throttles(self, request: Request) -> None:
        """Nothing: `check_permissions` has done it."""

    def _heeds(self, request: Request) -> frozenset[str]:
        """The conditions that this write looks at."""
        is_of_a_version = self.has_versions and request.method != "POST"
        return frozenset({"If-Match"}) if is_of_a_version else frozenset()

    def _writes(self, request: Request) -> bool:
        is_write = getattr(self, "needed_scope", Scope.WRITE) is Scope.WRITE
        return is_write and request.method not in SAFE_METHODS

    def _parameters(self, request: Request) -> set[str]:
        """The parameters that this view reads."""
        if request.method not in SAFE_METHODS:
            is_deletion = request.method == "DELETE" and self.is_confirmed
            return {"confirm", "note", *PLAN_FIELDS} if is_deletion else set()
        if getattr(self, "detail", True):
            return set(self.query_parameters)
        names = set(PAGE_PARAMETERS)
        for backend in getattr(self, "filter_backends", ()):
            if issubclass(backend, SearchFilter):
                names.add(backend.search_param)
            elif issubclass(backend, OrderingFilter):
                names.add(backend.ordering_param)
        filters = getattr(getattr(self, "filterset_class", None), "base_filters", {})
        return names | set(filters) | self.query_parameters

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """As DRF's. An answer is for this caller alone, and no cache keeps it."""
        response["Cache-Control"] = NOT_SHARED
        patch_vary_headers(response, ["Authorization", "Cookie", "X-API-Key"])
        return super().finalize_response(request, response, *args, **kwargs)

    @classmethod
    def refusal(cls, request: HttpRequest, status: int, detail: str) -> HttpResponse:
        """The answer to a request that reached no view, or that failed outside of one."""
        body = problem(status, {"detail": detail}, request_id=request.META.get(REQUEST_ID))
        headers = {"Cache-Control": NOT_SHARED}
        return JsonResponse(body, status=status, content_type=CONTENT_TYPE, headers=headers)

    def get_exception_handler(self) -> Any:
        return exception_handler


def _or_planned(handler: Handler) -> Handler:
    """The handler of a write, which answers 202 where the change is proposed or scheduled."""

    def answer(request: Request, *args: Any, **kwargs: Any) -> Response:
        try:
            return handler(request, *args, **kwargs)
        except PlannedInstead as planned:
            return Response(planned.body, status.HTTP_202_ACCEPTED)

    return answer


class UnknownAddress(ApiPolicy):
    """An address that the API does not have: 404 as a problem, and not a page."""

    permission_classes = [AllowAny]
    schema: Any = None

    def http_method_not_allowed(self, *_args: Any, **_kwargs: Any) -> Any:
        """Raises NotFound, whatever the method; a caller over its limit gets that answer first."""
        raise NotFound
