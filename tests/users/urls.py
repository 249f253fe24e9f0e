"""Small pages for the tests of the users' middleware."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response


def plain(request: HttpRequest) -> HttpResponse:
    """Does not look at its user."""
    return HttpResponse("ok")


def user(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.user.is_authenticated))


async def asynchronous(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str((await request.auser()).is_authenticated))


@api_view(["GET"])
def api(request: Request) -> Response:
    return Response({"ok": True})


urlpatterns = [
    path("plain/", plain),
    path("user/", user),
    path("async/", asynchronous),
    path("api/", api),
]
