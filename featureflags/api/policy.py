"""What every view of this API does alike, whatever `REST_FRAMEWORK` in the project's settings says."""

from __future__ import annotations

from typing import Any, Final

from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.openapi import AutoSchema
from rest_framework.filters import SearchFilter
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.views import APIView

from featureflags.api.authentication import ApiKeyAuthentication
from featureflags.api.credentials import SessionAuthentication
from featureflags.api.exceptions import exception_handler
from featureflags.api.filters import StableOrderingFilter
from featureflags.api.pagination import Pages
from featureflags.api.parsers import JSONParser
from featureflags.api.throttling import CallerThrottle

LIST_FILTERS: Final[list[Any]] = [DjangoFilterBackend, SearchFilter, StableOrderingFilter]
"""`filter_backends` of a list."""


class ApiPolicy(APIView):
    """The first base of each view."""

    # A key that is sent counts, whatever cookies come with it.
    authentication_classes: Any = [ApiKeyAuthentication, SessionAuthentication]
    permission_classes: Any = [IsAuthenticated]
    throttle_classes: Any = [CallerThrottle]
    # JSON alone: the browsable pages would ask the database once more to say that it is down.
    renderer_classes = [JSONRenderer]
    parser_classes = [JSONParser]
    pagination_class: Any = Pages
    versioning_class = None
    schema = AutoSchema()

    def get_exception_handler(self) -> Any:
        return exception_handler
