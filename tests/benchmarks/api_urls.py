"""The site, and a view that does nothing but know its caller."""

from __future__ import annotations

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.urls import handler400 as handler400
from config.urls import handler500 as handler500
from config.urls import urlpatterns as site
from featureflags.api.authentication import ApiKeyAuthentication
from featureflags.models import Scope


class Empty(APIView):
    """REST framework and the authentication of the API, and no more."""

    authentication_classes = [ApiKeyAuthentication]
    needed_scope = Scope.EVALUATE

    def get(self, _request: Request) -> Response:
        return Response({})

    def post(self, _request: Request) -> Response:
        return Response({})


urlpatterns = [path("empty/", Empty.as_view()), *site]
