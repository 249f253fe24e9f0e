"""Wrong API tokens: an address that sends too many gets 429, and no server is asked for it.

Each process counts for itself, in memory: so it holds while the cache or the database is frozen, and
costs a flag check no wait. A token that this process has seen work passes all the same: a neighbour
behind the same address cannot lock a service out. Threads may lose a count, which is no harm.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, cast

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from config.client_address import client_address
from featureflags.core.monitoring import report

logger = logging.getLogger(__name__)

SyncResponse = Callable[[HttpRequest], HttpResponseBase]
AsyncResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

SECONDS: Final = 60.0
"""The time in which failures of an address are counted, from the first one on."""
MOST: Final = 10_000
"""Addresses, and tokens that worked, that a process remembers. The oldest are forgotten."""
UNAUTHORIZED, TOO_MANY_REQUESTS = 401, 429
HEADERS: Final = ("Authorization", "X-API-Key")


class Attempts:
    """What this process has seen of addresses and tokens."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """Address → when its minute began, and how many wrong tokens it sent since."""
        self._worked: OrderedDict[bytes, None] = OrderedDict()
        self._key = secrets.token_bytes(16)

    def wait(self, address: str, token: str) -> float:
        """Seconds that the address must wait; 0 if its token may be tried."""
        began, failures = self._failures.get(address, (0.0, 0))
        left = began + SECONDS - time.monotonic()
        if failures < settings.TOKEN_FAILURES or left <= 0:
            return 0.0
        return 0.0 if self._digest(token) in self._worked else left

    def note(
        self, address: str, token: str, request: HttpRequest, response: HttpResponseBase
    ) -> None:
        """The token was tried. Only REST framework's own word makes it one that works: a page that asks
        for no token answers 200 to any."""
        if getattr(request, "auth", None) is not None:
            self._worked[self._digest(token)] = None
            _forget_oldest(self._worked)
        elif response.status_code == UNAUTHORIZED:
            self._failed(address, token)

    def _failed(self, address: str, token: str) -> None:
        self._worked.pop(self._digest(token), None)
        now = time.monotonic()
        began, failures = self._failures.get(address, (now, 0))
        self._failures[address] = (began, failures + 1) if now - began < SECONDS else (now, 1)
        _forget_oldest(self._failures)

    def _digest(self, token: str) -> bytes:
        # No memory of this process holds a token in clear for longer than its request.
        return hashlib.blake2b(token.encode(), key=self._key, digest_size=16).digest()


@sync_and_async_middleware
def TokenAttemptsMiddleware(  # noqa: N802 - Django's name for a middleware
    get_response: SyncResponse | AsyncResponse,
) -> SyncResponse | AsyncResponse:
    """Place it first: the metrics have a token too."""
    attempts = Attempts()
    if iscoroutinefunction(get_response):
        answer_async = cast("AsyncResponse", get_response)

        async def middleware_async(request: HttpRequest) -> HttpResponseBase:
            token = token_of(request)
            if not token:
                return await answer_async(request)
            address = client_address(request)
            if wait := attempts.wait(address, token):
                return _refusal(wait)
            response = await answer_async(request)
            attempts.note(address, token, request, response)
            return response

        return middleware_async

    answer = cast("SyncResponse", get_response)

    def middleware(request: HttpRequest) -> HttpResponseBase:
        token = token_of(request)
        if not token:
            return answer(request)
        address = client_address(request)
        if wait := attempts.wait(address, token):
            return _refusal(wait)
        response = answer(request)
        attempts.note(address, token, request, response)
        return response

    return middleware


def token_of(request: HttpRequest) -> str:
    """The credentials in the request's headers; empty if there are none."""
    return next((found for name in HEADERS if (found := request.headers.get(name, ""))), "")


def _refusal(wait: float) -> JsonResponse:
    report(logger, "token_attempts", "An address sent too many wrong tokens, and must wait.")
    seconds = int(wait) + 1
    return JsonResponse(
        {"detail": f"Too many wrong tokens from this address. Try again in {seconds} seconds."},
        status=TOO_MANY_REQUESTS,
        headers={"Retry-After": str(seconds)},
    )


def _forget_oldest(found: OrderedDict[str, tuple[float, int]] | OrderedDict[bytes, None]) -> None:
    while len(found) > MOST:
        found.popitem(last=False)
