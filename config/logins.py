"""Wrong passwords: after LOGIN_FAILURES for one account from one address, nobody tries there for a while.

django-axes counts them in the database, which a login asks anyway: a cache that is away or frozen lets
nobody guess on, and no flag check waits for it. Here is what it needs to know of this project.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

TOO_MANY_REQUESTS = 429


def account(request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> str:
    """The account that a login is for. Accounts fold case, so each spelling counts for the same."""
    given = dict(credentials or {})
    name = given.get("username") or given.get("email") or request.POST.get("username", "")
    return str(name).strip().lower()


def too_many(
    _request: HttpRequest, _response: HttpResponse, _credentials: Mapping[str, Any] | None
) -> HttpResponse:
    """The page while an account is locked for an address. Asks no server."""
    minutes = settings.LOGIN_LOCK_MINUTES
    return HttpResponse(
        render_to_string("429.html", {"minutes": minutes}),
        status=TOO_MANY_REQUESTS,
        headers={"Retry-After": str(minutes * 60)},
    )


def who(_name: str, address: str | None, *_rest: object) -> str:
    """A login in a line of the log: the address, and never the account."""
    return f"a client at {address or 'an unknown address'}"
