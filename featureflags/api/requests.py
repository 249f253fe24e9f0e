"""From DRF's request to Django's, which the facade takes."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from rest_framework.request import Request

from featureflags.api.authentication import UnconfirmedSession


def http_request(request: Request) -> HttpRequest:
    """Django's request with DRF's user in it, so that a visitor's cookie reaches the response."""
    user: object = request.user
    inner: HttpRequest = request._request  # noqa: SLF001 - DRF has no public name for it
    if isinstance(user, UnconfirmedSession):
        # DRF has put its replacement there, which names no user: restore the original.
        lazy_user: Any = request.auth
        inner.user = lazy_user
    return inner


def is_staff(request: Request) -> bool:
    """Whether the caller is a confirmed member of staff."""
    user: object = request.user
    return (
        isinstance(user, AbstractBaseUser) and user.is_active and getattr(user, "is_staff", False)
    )
