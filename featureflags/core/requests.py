"""The user of a request, as far as known without a query, and the view of the API that it is for."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.urls import Resolver404, resolve
from django.utils.functional import LazyObject


def loaded_user(request: HttpRequest) -> AbstractBaseUser | AnonymousUser | None:
    """The user that this request has already loaded (by session or token), or None.

    `request.user` is lazy, and even `isinstance` would load it: look at Django's memos instead.
    """
    for name in ("user", "_cached_user", "_acached_user"):
        user = request.__dict__.get(name)
        if user is not None and not isinstance(user, LazyObject):
            return user if isinstance(user, AbstractBaseUser) else AnonymousUser()
    return None


def api_view(request: HttpRequest) -> Any:
    """The class of the API's view at this address; None for any other address. Needs no middleware."""
    try:
        view = resolve(request.path_info, getattr(request, "urlconf", None)).func
    except Resolver404:
        return None
    found = getattr(view, "cls", None)
    return found if getattr(found, "has_a_gate", False) else None


def session_user_key(request: HttpRequest) -> str | None:
    """The key of the user in the session, unverified, or None. Reads the session."""
    session = getattr(request, "session", None)
    if session is None or session.is_empty():
        return None
    key: str | None = session.get(SESSION_KEY)
    return key
