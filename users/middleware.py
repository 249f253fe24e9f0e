"""Writes when a user was last seen, at most once an hour. A failure never costs the response."""

from __future__ import annotations

import logging

from django.core.cache import cache
from django.db import DatabaseError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin

from featureflags.core.requests import loaded_user, session_user_key
from featureflags.core.signals import user_seen
from users.models import User
from users.querysets import SEEN_EVERY

logger = logging.getLogger(__name__)


class LastSeenMiddleware(MiddlewareMixin):
    """Place it after AuthenticationMiddleware."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Django calls it in a thread where the request is handled on an event loop."""
        note_seen(request)
        return response


def note_seen(request: HttpRequest) -> None:
    """Write `last_seen_at` of the request's user if an hour has passed since the last write.

    Hidden SQL: a request that did not load its user loads it here, once an hour for each user as
    the default cache counts. A database that is down is logged.
    """
    try:
        user = _user_who_is_due(request)
        if user is not None and User.objects.mark_seen(str(user.pk), timezone.now()):
            user_seen.send(sender=User, key=str(user.pk))
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
