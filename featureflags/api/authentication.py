"""How the REST API knows its caller: a key of a program, or a session, also while the database is down.

    Authorization: Bearer gdn_…      or      X-API-Key: gdn_…

A view names with `needed_scope` what a key must be allowed to do, and with `context_kind` whom it is about. Without it a key needs `read` for
GET, HEAD and OPTIONS, and `write` for everything else. A key that reads or writes acts as its owner,
so that it may do what the key may and the owner may.
"""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth import get_backends
from django.contrib.auth.models import AbstractBaseUser
from django.db import InterfaceError, OperationalError
from rest_framework import authentication, exceptions
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from featureflags.api.credentials import SessionAuthentication
from featureflags.api.keys import KeyRefused, find_key
from featureflags.api.throttling import count_wrong_key
from featureflags.models import Scope, ServiceKey

BEARER: Final = "bearer"
OTHER_KINDS: Final = "This API key is for other kinds."
OF_PROXIES: Final = "basic"
"""The scheme of a site that a proxy protects with a password: it is not meant for the API."""


class _NoUser:
    """In the place of a user in `request.user`: never staff, never a row."""

    is_authenticated = True
    is_active = True
    is_staff = False
    is_superuser = False
    is_anonymous = False
    pk = None

    def has_perm(self, _permission: str, _row: object = None) -> bool:
        return False

    def has_perms(self, _permissions: object, _row: object = None) -> bool:
        return False


class UnconfirmedSession(_NoUser):
    """A session whose user no database can confirm just now. Never staff.

    It takes the place of a user in `request.user`. The facade reads the user's key from the session.
    """


class EvaluatingProgram(_NoUser):
    """A program whose key only evaluates flags: it is nobody."""


class ApiKeyAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer KEY`, or `X-API-Key: KEY`. `request.auth` is the `ServiceKey`.

    Hidden SQL: for a key with an owner, the owner's row.
    """

    def authenticate(self, request: Request) -> tuple[Any, ServiceKey] | None:
        token = _token_of(request)
        if token is None:
            return None
        try:
            key = find_key(token)
        except KeyRefused as refused:
            wait = count_wrong_key(request)
            if wait is not None:
                raise exceptions.Throttled(wait, "Too many wrong API keys.") from None
            raise exceptions.AuthenticationFailed(str(refused)) from None
        caller = EvaluatingProgram() if key.owner_pk is None else _owner_of(key)
        _require_allowed(request, key)
        if not key.allows_origin(request.headers.get("Origin")):
            raise exceptions.PermissionDenied("This API key is for other origins.")
        return caller, key

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - DRF's
        return 'Bearer realm="api"'


class FlagsSessionAuthentication(SessionAuthentication):
    """As every other session; if the database is down, the session's word is enough for flags.

    A caller with a key is not served on the word of a session: they get 503.
    """

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        http_request = request._request  # noqa: SLF001 - DRF has no public name for it
        lazy_user = http_request.user
        try:
            return super().authenticate(request)
        except (OperationalError, InterfaceError):
            return UnconfirmedSession(), lazy_user


def service_key(request: Request) -> ServiceKey | None:
    """The key of the caller; None for a session and for a visitor."""
    auth: object = request.auth
    # Not isinstance: it would load the lazy user of a session, from a database that may be down.
    return auth if type(auth) is ServiceKey else None


def _token_of(request: Request) -> str | None:
    """The token of a request. Raises AuthenticationFailed for a scheme that is not served."""
    header = request.headers.get("Authorization", "")
    scheme, _blank, token = header.partition(" ")
    if scheme.lower() == BEARER:
        return token.strip()
    if scheme and scheme.lower() != OF_PROXIES:
        raise exceptions.AuthenticationFailed("Send “Authorization: Bearer” and an API key.")
    return request.headers.get("X-API-Key")


def _owner_of(key: ServiceKey) -> AbstractBaseUser:
    for backend in get_backends():
        # A session's user is found in the same way: an inactive account is not found.
        found = getattr(backend, "get_user", lambda _pk: None)(key.owner_pk)
        if isinstance(found, AbstractBaseUser):
            return found
    raise exceptions.AuthenticationFailed("The owner of this API key is not active.")


def _require_allowed(request: Request, key: ServiceKey) -> None:
    needed = Scope.READ if request.method in SAFE_METHODS else Scope.WRITE
    view = (request.parser_context or {}).get("view")
    needed = getattr(view, "needed_scope", needed)
    kind = getattr(view, "context_kind", None)
    if kind is not None and not key.allows_kind(kind):
        raise exceptions.PermissionDenied(OTHER_KINDS)
    if not key.scope.includes(needed):
        raise exceptions.PermissionDenied(f"This needs an API key of the scope “{needed}”.")
