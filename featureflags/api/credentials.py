"""Sessions in the REST API: 401 for a stranger, 503 while the database is down."""

from __future__ import annotations

from rest_framework import authentication
from rest_framework.request import Request


class SessionAuthentication(authentication.SessionAuthentication):
    """Django's sessions. It names a scheme, so that a stranger gets 401 and not 403."""

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - DRF's
        return 'Session realm="api"'
