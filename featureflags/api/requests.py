"""What a request says: Django's request for the facade, the caller, and query parameters.

A wrong or missing parameter is a problem of its name, and is never ignored.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from rest_framework.exceptions import ValidationError
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


CONDITIONS: Final = ("If-Match", "If-None-Match")


def require_heeded(request: Request, heeded: Collection[str]) -> None:
    """Raises ValidationError for a condition that a write does not look at: it must not be written without."""
    for name in CONDITIONS:
        if name in request.headers and name not in heeded:
            raise ValidationError({name: ["What is written here has no version of its own."]})


def required_parameter(request: Request, name: str) -> str:
    """The text of a parameter. Raises ValidationError where it is missing or empty."""
    value = request.query_params.get(name, "")
    if not value:
        raise ValidationError({name: ["Send this parameter."]})
    return value


def true_or_false(request: Request, name: str) -> bool | None:
    """None: it was not sent. Raises ValidationError for anything but `true` and `false`."""
    value = request.query_params.get(name)
    if value not in {None, "true", "false"}:
        raise ValidationError({name: ["Send true or false."]})
    return None if value is None else value == "true"
