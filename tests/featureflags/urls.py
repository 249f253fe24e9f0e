"""Small pages for tests: each asks for a flag in one way."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.cache import cache_page
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from featureflags.cache.unit_of_work import current_unit
from featureflags.evaluation import ais_enabled, is_enabled, variation_detail
from featureflags.evaluation.resolve import resolve


def plain(request: HttpRequest) -> JsonResponse:
    """Asks for nothing."""
    return JsonResponse({"unit": current_unit() is not None})


def flag(request: HttpRequest) -> JsonResponse:
    detail = variation_detail("internal-tools", request=request)
    return JsonResponse(
        {**detail.to_dict(), "context": resolve(None, request=request).context.to_dict()}
    )


def lazy_user(request: HttpRequest) -> JsonResponse:
    """Passes `request.user` on, as most code does."""
    return JsonResponse({"on": is_enabled("internal-tools", request.user)})


def own_key(request: HttpRequest) -> JsonResponse:
    """Passes the key of the request's user on."""
    return JsonResponse({"on": is_enabled("internal-tools", str(request.user.pk))})


async def flag_async(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"on": await ais_enabled("internal-tools", request=request)})


@api_view(["GET"])
@permission_classes([AllowAny])
def flag_drf(request: Request) -> Response:
    """Passes DRF's request on, as most code does."""
    return Response(resolve(None, request=request).context.to_dict())


urlpatterns = [
    path("cached/", cache_page(60)(flag)),
    path("cached-lazy-user/", cache_page(60)(lazy_user)),
    path("cached-own-key/", cache_page(60)(own_key)),
    path("cached-plain/", cache_page(60)(plain)),
    path("plain/", plain),
    path("flag/", flag),
    path("lazy-user/", lazy_user),
    path("flag-async/", flag_async),
    path("flag-drf/", flag_drf),
]
