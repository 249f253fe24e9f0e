"""The stable random key of somebody who is not logged in, in a signed cookie.

The cookie is set only when a flag was asked for the visitor; no session is created for it. It
stays through login, so that a rollout by `anonymous_key` need not flip.
"""

from __future__ import annotations

import re
import uuid

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from featureflags.core.conf import app_settings

SALT = "featureflags.visitor"
KEY = re.compile(r"[0-9a-f]{32}")
_KNOWN = "_featureflags_visitor"
_ASKED = "_featureflags_asked"
_NEW = "_featureflags_new_visitor"


def visitor_key(request: HttpRequest) -> str:
    """The visitor's key; a new one, which the response will set, if they have none."""
    key = known_visitor_key(request)
    if key is None:
        key = uuid.uuid4().hex
        setattr(request, _KNOWN, key)
        setattr(request, _NEW, True)
    return key


def known_visitor_key(request: HttpRequest) -> str | None:
    """The key that the visitor's cookie brings, if its signature and form are ours."""
    setattr(request, _ASKED, True)
    if hasattr(request, _KNOWN):
        key: str | None = getattr(request, _KNOWN)
        return key
    key = _read_cookie(request)
    setattr(request, _KNOWN, key)
    return key


def finish(request: HttpRequest, response: HttpResponseBase) -> None:
    """Set the cookie of a new visitor; tell caches that the page depends on who asks."""
    if getattr(request, _ASKED, False):
        patch_vary_headers(response, ["Cookie"])
    if getattr(request, _NEW, False):
        response.set_signed_cookie(
            app_settings().visitor_cookie,
            getattr(request, _KNOWN),
            salt=SALT,
            max_age=app_settings().visitor_cookie_days * 24 * 3600,
            httponly=True,
            samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE,
        )


def _read_cookie(request: HttpRequest) -> str | None:
    # With a default, a cookie that is missing or not ours is no error.
    key = request.get_signed_cookie(app_settings().visitor_cookie, "", salt=SALT)
    return key if key and KEY.fullmatch(key) else None
