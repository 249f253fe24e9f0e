"""Who is behind a flag check: a user, the key of one, or a visitor with a key of their own.

A visitor's key is random and stable: a signed cookie brings it back. The cookie is set only when a flag
was asked for the visitor; no session is created for it. It stays through login. Its domain, path,
SameSite and Secure are those of the session's cookie.

Django's cache middleware does not store a page that asked for a flag: the page belongs to one
person, and its flags may change at any time. `cache_page` stores a page before any middleware
could add `Vary`, so that the request is marked where the flag is asked.
"""

from __future__ import annotations

import re
import uuid
from typing import Literal, TypedDict, cast

import msgspec
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError
from django.db.models import Model
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.functional import LazyObject

from featureflags.cache.protocol import report_database
from featureflags.cache.unit_of_work import current_unit
from featureflags.contexts.results import Degradation
from featureflags.core.conf import app_settings
from featureflags.core.requests import loaded_user, session_user_key
from featureflags.evaluation.arguments import (
    Row,
    Subject,
    is_several,
    not_a_user,
    visitor_text,
)
from featureflags.kinds.registry import USER, kind_of_row, user_kind

SALT = "featureflags.visitor"
KEY = re.compile(r"[0-9a-f]{32}")
_KNOWN = "_featureflags_visitor"
_ASKED = "_featureflags_asked"
_NEW = "_featureflags_new_visitor"
_STORE = "_cache_update_cache"


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """A user, loaded or by key, or None for a visitor; with the visitor's key if it is known."""

    user: Row | None
    visitor: str | None
    degraded: tuple[Degradation, ...] = ()
    is_new: bool = False
    """The key of the visitor was made in this request."""
    keep_row: bool = False
    """The user of a request: when the database is down, only the session says who it is. So the
    cache must have them, even if nobody has asked for them by key."""


def identify(subject: Subject, request: HttpRequest | None, anonymous_key: str | None) -> Who:
    """`subject`; without one, the user or visitor behind `request`; else a visitor of that key."""
    # DRF wraps the request; its memos and the visitor's cookie belong to Django's own.
    request = getattr(request, "_request", request)
    if _is_lazy(subject):
        own = request if request is not None else _request_of(subject)
        if own is not None and own.__dict__.get("user") is subject:
            return _of_request(own)
        # Any other one: a lazy `request.organization` is not the user.
        subject = _within(subject)
    if request is not None and subject is None:
        return _of_request(request)
    if subject is None or isinstance(subject, AnonymousUser):
        if request is not None:
            return _visitor(request)
        return Who(user=None, visitor=visitor_text(anonymous_key))
    if is_several(subject) or (isinstance(subject, Model) and kind_of_row(subject) is None):
        raise TypeError(not_a_user(subject))
    if not is_user(subject):
        if request is not None:
            note_asked(request)
        return Who(user=cast("Row", subject), visitor=None)
    visitor = visitor_text(anonymous_key) if request is None else known_visitor_key(request)
    return Who(user=cast("Row", subject), visitor=visitor)


def is_user(subject: object) -> bool:
    """Whether this is a user or the key of one, and no row of another kind."""
    if isinstance(subject, Model):
        return kind_of_row(subject) is user_kind()
    return not isinstance(subject, tuple) or subject[0] == USER


def _of_request(request: HttpRequest) -> Who:
    user = loaded_user(request)
    if user is None:
        try:
            user = request.user if request.user.is_authenticated else AnonymousUser()
        except DatabaseError as error:
            report_database(error)
            return _of_session(request)
    if isinstance(user, user_kind().model):
        return Who(user=user, visitor=known_visitor_key(request), keep_row=True)
    return _visitor(request)


def _visitor(request: HttpRequest, *degraded: Degradation) -> Who:
    key = visitor_key(request)
    return Who(user=None, visitor=key, degraded=degraded, is_new=is_new_visitor(request))


def _of_session(request: HttpRequest) -> Who:
    """The database is down: the user whom a session names that the cache still has."""
    try:
        key = session_user_key(request)
    except DatabaseError:
        return _visitor(request, Degradation.SESSION_UNAVAILABLE)
    if key is None or user_kind().key != "pk":
        # The session holds the primary key alone.
        return _visitor(request)
    return Who(user=key, visitor=known_visitor_key(request))


def _is_lazy(subject: object) -> bool:
    """Whether it is loaded when it is looked at, as Django's `request.user` is."""
    return issubclass(type(subject), LazyObject)


def _within(lazy: object) -> Subject:
    """What it holds, read now. What the project's own function raises goes on."""
    _, (held,) = cast("tuple[object, tuple[Subject]]", lazy.__reduce__())
    return held


def _request_of(subject: object) -> HttpRequest | None:
    """The request of this unit, if `subject` is its lazy `request.user`."""
    unit = current_unit()
    if unit is None or unit.request is None:
        return None
    return unit.request if unit.request.__dict__.get("user") is subject else None


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


def note_own_user(subject: Row) -> None:
    """Mark the request of this unit if `subject` is its user, passed without `request=`."""
    unit = current_unit()
    if unit is None or unit.request is None or not is_user(subject):
        return
    own = loaded_user(unit.request)
    kind = user_kind()
    if isinstance(own, kind.model):
        named = subject[1] if isinstance(subject, tuple) else subject
        key = kind.key_of(named) if isinstance(named, Model) else kind.canonical(str(named))
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
