"""The user of a request, as far as known without a query."""

from __future__ import annotations

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
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


def session_user_key(request: HttpRequest) -> str | None:
    """The key of the user in the session, unverified, or None. Reads the session."""
    session = getattr(request, "session", None)
    if session is None or session.is_empty():
        return None
    key: str | None = session.get(SESSION_KEY)
    return key
