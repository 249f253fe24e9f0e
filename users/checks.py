"""System checks of the app `users`. Their ids never change meaning."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register  # noqa: A004 - Django's name


@register("users")
def check_last_seen_middleware(
    **_: Any,
) -> list[CheckMessage]:
    """users.W001: without the middleware `last_seen_at` stays empty, and warm-ups find no users."""
    if "users.middleware.LastSeenMiddleware" in settings.MIDDLEWARE:
        return []
    return [
        Warning(
            "users.middleware.LastSeenMiddleware is not installed, so last_seen_at stays empty.",
            hint="Add it to MIDDLEWARE, after AuthenticationMiddleware.",
            id="users.W001",
        )
    ]
