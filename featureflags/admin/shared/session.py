"""What the admin's scripts ask about the session, so that a form outlives a logout.

`session.js` asks before a form is sent. `drafts.js` keeps what is typed in the browser's tab until a
cookie names the form as saved.
"""

from __future__ import annotations

import re
from typing import Final

from django.conf import settings
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.views.decorators.http import require_GET

DRAFT: Final = "_draft"
"""The field with the name of a form, which its script makes up."""

SAVED_COOKIE: Final = "guidon_saved"
SAVED_SECONDS: Final = 24 * 60 * 60
"""The next page of the tab reads the cookie; a browser may wait that long before it opens one."""


@require_GET
def session(request: HttpRequest, *, site: AdminSite) -> HttpResponse:
    """The CSRF token that is valid now. The admin redirects users who are not logged in."""
    del site
    return JsonResponse({"csrf": get_token(request)})


def name_saved_form(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The response, with a cookie that names the form that was saved."""
    draft = request.POST.get(DRAFT, "")
    if re.fullmatch(r"[a-z0-9]{1,40}", draft):
        response.set_cookie(
            SAVED_COOKIE,
            draft,
            max_age=SAVED_SECONDS,
            secure=settings.SESSION_COOKIE_SECURE,
            samesite="Lax",
        )
    return response
