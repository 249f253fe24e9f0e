"""Makes each request a unit of work, sets the visitor's cookie, and shows a tester's own values."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.core.exceptions import SuspiciousOperation
from django.db import Error
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from django.views.defaults import bad_request, page_not_found

from featureflags.cache.unit_of_work import unit_of_work
from featureflags.core.database import is_away
from featureflags.core.input_gate import is_storable
from featureflags.core.requests import api_view
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


def _refused(request: HttpRequest) -> HttpResponseBase | None:
    """The answer to an address or a parameter with text that no database stores. The API has its own."""
    if not is_storable(request.path_info):
        return None if api_view(request) else page_not_found(request, Http404())
    for name, values in request.GET.lists():
        if not all(map(is_storable, (name, *values))):
            return None if api_view(request) else bad_request(request, SuspiciousOperation())
    return None


def _process_exception(request: HttpRequest, error: Exception) -> HttpResponseBase | None:
    """400 for parameters with which a page of Django's admin makes a query that no database takes."""
    is_admin = hasattr(getattr(request.resolver_match, "func", None), "model_admin")
    is_refused = isinstance(error, OverflowError | Error) and not is_away(error)
    return bad_request(request, error) if is_admin and request.GET and is_refused else None


@sync_and_async_middleware
def InputGateMiddleware(  # noqa: N802 - Django's name for a middleware
    get_response: SyncResponse | AsyncResponse,
) -> SyncResponse | AsyncResponse:
    """One gate for the addresses and parameters of all views: 404 or 400 before a view sees text with
    NUL or a lone surrogate. JSON passes the same gate in the API's parser; what people type into a form
    is refused by its field, in words.
    """
    if iscoroutinefunction(get_response):
        answer_async = cast("AsyncResponse", get_response)

        async def middleware_async(request: HttpRequest) -> HttpResponseBase:
            found = _refused(request)
            return await answer_async(request) if found is None else found

        middleware_async.process_exception = _process_exception  # type: ignore[attr-defined]  # Django's hook
        return middleware_async

    answer = cast("SyncResponse", get_response)

    def middleware(request: HttpRequest) -> HttpResponseBase:
        found = _refused(request)
        return answer(request) if found is None else found

    middleware.process_exception = _process_exception  # type: ignore[attr-defined]  # Django's hook
    return middleware
