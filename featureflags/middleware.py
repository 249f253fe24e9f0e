"""Makes each request a unit of work, sets the visitor's cookie, and shows a tester's own values."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from featureflags.cache.unit_of_work import unit_of_work
from featureflags.core.timings import publish_if_due
from featureflags.evaluation import previews, subjects
from featureflags.evaluation.previews import Look

SyncResponse = Callable[[HttpRequest], HttpResponseBase]
AsyncResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


@sync_and_async_middleware
def FeatureFlagsMiddleware(  # noqa: N802 - Django's name for a middleware
    get_response: SyncResponse | AsyncResponse,
) -> SyncResponse | AsyncResponse:
    """Place it after AuthenticationMiddleware."""
    if iscoroutinefunction(get_response):

        async def middleware_async(request: HttpRequest) -> HttpResponseBase:
            # What may ask the database or render runs in a thread; most requests need neither.
            look = None
            if previews.has_cookie(request):
                look = await sync_to_async(previews.look_of)(request)
            with unit_of_work(request), previews.seeing(look):
                response = await cast("AsyncResponse", get_response)(request)
            if look is not None:
                return await sync_to_async(_finish)(request, response, look)
            return _finish(request, response, None)

        return middleware_async

    def middleware(request: HttpRequest) -> HttpResponseBase:
        look = previews.look_of(request)
        with unit_of_work(request), previews.seeing(look):
            response = cast("SyncResponse", get_response)(request)
        return _finish(request, response, look)

    return middleware


def _finish(
    request: HttpRequest, response: HttpResponseBase, look: Look | None
) -> HttpResponseBase:
    subjects.finish(request, response)
    publish_if_due()
    if look is not None:
        previews.finish(request, response, look)
    return response
