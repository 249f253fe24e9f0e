"""Notes when a user was last seen, at most once an hour, and never at the price of an answer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.core.cache import cache
from django.db import DatabaseError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.decorators import sync_and_async_middleware

from users.models import User
from users.querysets import SEEN_EVERY
from users.requests import loaded_user, session_user_key

logger = logging.getLogger(__name__)

SyncResponse = Callable[[HttpRequest], HttpResponseBase]
AsyncResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


@sync_and_async_middleware
def LastSeenMiddleware(  # noqa: N802 - Django's name for a middleware
    get_response: SyncResponse | AsyncResponse,
) -> SyncResponse | AsyncResponse:
    if iscoroutinefunction(get_response):
        answer_async = cast("AsyncResponse", get_response)

        async def middleware_async(request: HttpRequest) -> HttpResponseBase:
            response = await answer_async(request)
            await sync_to_async(note_seen)(request)
            return response

        return middleware_async

    answer = cast("SyncResponse", get_response)

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = answer(request)
        note_seen(request)
        return response

    return middleware


def note_seen(request: HttpRequest) -> None:
    """Write `last_seen_at` of the user of this request, if an hour has passed since.

    A request that did not load its user loads it for this once an hour, on the cache's word.
    """
    try:
        user = _user_who_is_due(request)
        if user is not None:
            User.objects.mark_seen(str(user.pk), timezone.now())
    except DatabaseError as error:
        logger.warning("Could not note when a user was last seen: %s", type(error).__name__)


def _user_who_is_due(request: HttpRequest) -> User | None:
    user = loaded_user(request)
    if user is None:
        key = session_user_key(request)
        if key is None or not cache.add(f"seen:{key}", 1, int(SEEN_EVERY.total_seconds())):
            return None
        user = request.user
    if not isinstance(user, User) or not user.is_active:
        return None
    due = user.last_seen_at is None or timezone.now() - user.last_seen_at >= SEEN_EVERY
    return user if due else None
