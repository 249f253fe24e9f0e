"""How the flags endpoints know their caller, also in the hour when the database is down."""

from __future__ import annotations

from typing import Any

from django.db import InterfaceError, OperationalError
from rest_framework import authentication
from rest_framework.request import Request

from users.api.authentication import SessionAuthentication


class UnconfirmedSession:
    """A session whose user no database can confirm just now. Never staff.

    It takes the place of a user in `request.user`. The facade reads the user's key from the session.
    """

    is_authenticated = True
    is_active = True
    is_staff = False
    is_superuser = False
    pk = None


class FlagsSessionAuthentication(SessionAuthentication):
    """As every other session; if the database is down, the session's word is enough for flags.

    A caller with a token is not served on the word of a session: they get 503.
    """

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        http_request = request._request  # noqa: SLF001 - DRF has no public name for it
        lazy_user = http_request.user
        try:
            return super().authenticate(request)
        except (OperationalError, InterfaceError):
            if authentication.get_authorization_header(request):
                raise
            return UnconfirmedSession(), lazy_user
