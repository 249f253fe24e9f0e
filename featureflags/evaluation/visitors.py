"""The stable random key of somebody who is not logged in, in a signed cookie.

The cookie is set only when a flag was asked for the visitor; no session is created for it. It
stays through login. Its domain, path, SameSite and Secure are those of the session's cookie.

Django's cache middleware does not store a page that asked for a flag: the page belongs to one
person, and its flags may change at any time. `cache_page` stores a page before any middleware
could add `Vary`, so that the request is marked where the flag is asked.
"""

from __future__ import annotations

import re
import uuid
from typing import Literal, TypedDict

from django.conf import settings
from django.db.models import Model
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from featureflags.cache.unit_of_work import current_unit
from featureflags.core.conf import app_settings
from featureflags.core.requests import loaded_user
from featureflags.kinds.registry import user_kind

SALT = "featureflags.visitor"
KEY = re.compile(r"[0-9a-f]{32}")
_KNOWN = "_featureflags_visitor"
_ASKED = "_featureflags_asked"
_NEW = "_featureflags_new_visitor"
_STORE = "_cache_update_cache"


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
    note_asked(request)
    if hasattr(request, _KNOWN):
        key: str | None = getattr(request, _KNOWN)
        return key
    key = _read_cookie(request)
    setattr(request, _KNOWN, key)
    return key


def is_new_visitor(request: HttpRequest) -> bool:
    """Whether the visitor's key was made in this request: no cookie has brought it yet."""
    return bool(getattr(request, _NEW, False))


def note_asked(request: HttpRequest) -> None:
    """A flag was asked for the user or visitor of this request: its page is for nobody else."""
    setattr(request, _ASKED, True)
    # Read by Django's UpdateCacheMiddleware, which `cache_page` uses too.
    setattr(request, _STORE, False)


def note_own_user(subject: Model | uuid.UUID | int | str) -> None:
    """Mark the request of this unit if `subject` is its user, passed without `request=`."""
    unit = current_unit()
    if unit is None or unit.request is None:
        return
    own = loaded_user(unit.request)
    kind = user_kind()
    if isinstance(own, kind.model):
        key = kind.key_of(subject) if isinstance(subject, Model) else kind.canonical(str(subject))
        if kind.key_of(own) == key:
            note_asked(unit.request)


def finish(request: HttpRequest, response: HttpResponseBase) -> None:
    """Set the cookie of a new visitor; add `Vary: Cookie` if a flag was asked."""
    if getattr(request, _ASKED, False):
        patch_vary_headers(response, ["Cookie"])
    if getattr(request, _NEW, False):
        response.set_signed_cookie(
            app_settings().visitor_cookie,
            getattr(request, _KNOWN),
            salt=SALT,
            max_age=app_settings().visitor_cookie_days * 24 * 3600,
            httponly=True,
            **cookie_options(),
        )


class CookieOptions(TypedDict):
    """How far a cookie reaches."""

    domain: str | None
    path: str
    secure: bool
    samesite: Literal["Lax", "Strict", "None", False] | None


def cookie_options() -> CookieOptions:
    """As the site sets them for its sessions."""
    return {
        "domain": settings.SESSION_COOKIE_DOMAIN,
        "path": settings.SESSION_COOKIE_PATH,
        "secure": settings.SESSION_COOKIE_SECURE,
        "samesite": settings.SESSION_COOKIE_SAMESITE,
    }


def _read_cookie(request: HttpRequest) -> str | None:
    # With a default, a missing cookie, or one that is not ours, raises nothing.
    key = request.get_signed_cookie(app_settings().visitor_cookie, "", salt=SALT)
    return key if key and KEY.fullmatch(key) else None
