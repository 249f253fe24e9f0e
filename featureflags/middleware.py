"""Makes every request one unit of work, and sets the visitor's cookie if a flag was asked.

A tester's own values hold within the request, and the page says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from featureflags.cache.unit_of_work import unit_of_work
from featureflags.evaluation import previews, visitors

SyncResponse = Callable[[HttpRequest], HttpResponseBase]
AsyncResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


@sync_and_async_middleware
def FeatureFlagsMiddleware(  # noqa: N802 - Django's name for a middleware
    get_response: SyncResponse | AsyncResponse,
) -> SyncResponse | AsyncResponse:
    """Place it after AuthenticationMiddleware."""
    if iscoroutinefunction(get_response):
        answer_async = cast("AsyncResponse", get_response)

        async def middleware_async(request: HttpRequest) -> HttpResponseBase:
            with unit_of_work(request):
                # Loading the user is for a thread; without the cookie there is nothing to load.
                has_cookie = previews.has_cookie(request)
                look = await sync_to_async(previews.look_of)(request) if has_cookie else None
                with previews.seeing(look):
                    response = await answer_async(request)
            visitors.finish(request, response)
            if look is not None:
                await sync_to_async(previews.finish)(request, response, look)
            return response

        return middleware_async

    answer = cast("SyncResponse", get_response)

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with unit_of_work(request):
            look = previews.look_of(request)
            with previews.seeing(look):
                response = answer(request)
        visitors.finish(request, response)
        if look is not None:
            previews.finish(request, response, look)
        return response

    return middleware
