"""Authentication: 401 for a wrong login, 503 while the database is down. Loads the groups too."""

from __future__ import annotations

from typing import Any

from rest_framework import authentication, exceptions
from rest_framework.authtoken.models import Token
from rest_framework.request import Request

from users.models import User


class SessionAuthentication(authentication.SessionAuthentication):
    """Django's sessions. It names a scheme, so that a stranger gets 401 and not 403."""

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - DRF's
        return 'Session realm="api"'


class TokenAuthentication(authentication.TokenAuthentication):
    """`Authorization: Token …`; user and group names in one query."""

    def authenticate_credentials(self, key: str) -> tuple[User, Any]:
        user = User.objects.with_group_names().filter(auth_token__key=key).first()
        if user is None:
            raise exceptions.AuthenticationFailed("Invalid token.")
        if not user.is_active:
            raise exceptions.AuthenticationFailed("This account is not active.")
        return user, Token(key=key, user=user)
