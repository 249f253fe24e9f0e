"""`/healthz` and `/readyz` for monitors that ask by address, before anything looks at the Host header.

Load balancers and orchestrators send an IP as the host, and no `X-Forwarded-Proto`: Django would
answer 400, or redirect to HTTPS. So these two are answered first, and so is `/metrics` for a bearer
of the token. Anything else goes on: staff read the metrics as any other page.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from featureflags.api.health import BEARER, health, metrics, ready
from featureflags.core.deadlines import Purpose, within

PROBES: dict[str, Callable[[HttpRequest], HttpResponse]] = {"/healthz": health, "/readyz": ready}
METRICS = "/metrics"

SyncResponse = Callable[[HttpRequest], HttpResponseBase]
AsyncResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


def _probe(request: HttpRequest) -> Callable[[HttpRequest], HttpResponse] | None:
    path = request.path_info
    if path == METRICS and request.headers.get("Authorization", "").startswith(BEARER):
        return metrics
    return PROBES.get(path)


def _answer(probe: Callable[[HttpRequest], HttpResponse], request: HttpRequest) -> HttpResponse:
    with within(Purpose.FLAG_CHECK):
        return probe(request)


@sync_and_async_middleware
def ProbeMiddleware(  # noqa: N802 - Django's name for a middleware
    get_response: SyncResponse | AsyncResponse,
) -> SyncResponse | AsyncResponse:
    """Place it first."""
    if iscoroutinefunction(get_response):
        answer_async = cast("AsyncResponse", get_response)

        async def middleware_async(request: HttpRequest) -> HttpResponseBase:
            probe = _probe(request)
            if probe is None:
                return await answer_async(request)
            return await sync_to_async(_answer)(probe, request)

        return middleware_async

    answer = cast("SyncResponse", get_response)

    def middleware(request: HttpRequest) -> HttpResponseBase:
        probe = _probe(request)
        return answer(request) if probe is None else _answer(probe, request)

    return middleware
