"""Staff who see pages as if flags had other values: a signed cookie that expires, and a banner.

Off unless the setting `testers` is on. The cookie holds for the one user who set it, and only while
they are staff; nobody else's pages change. The page that sets it records who did, see `admin.flag_previews`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.db import DatabaseError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.utils.cache import add_never_cache_headers, patch_vary_headers

from featureflags.core.conf import app_settings
from featureflags.core.monitoring import report
from featureflags.core.times import now_in_microseconds
from featureflags.core.types import MICROSECONDS_PER_SECOND, JSONValue
from featureflags.evaluation.subjects import cookie_options
from featureflags.flags.overrides import override_for

logger = logging.getLogger(__name__)

SALT = "featureflags.tester"
LONGEST = 3500
"""Characters of the cookie: browsers drop one that is longer than 4,096 with its name and all."""
BANNER = "featureflags/tester_banner.html"
END_OF_BODY = b"</body>"


class LookTooLong(ValueError):
    """More, or longer, values than a cookie holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one member of staff sees instead of LaunchDarkly's values, and until when."""

    user_key: str
    flags: Mapping[str, JSONValue]
    until: int
    """An instant (µs)."""


def has_cookie(request: HttpRequest) -> bool:
    """Whether there is something to look at, signed or not."""
    given = app_settings()
    return given.testers and given.tester_cookie in request.COOKIES


def look_of(request: HttpRequest) -> Look | None:
    """The look of the user behind this request, if they have one that holds.

    Hidden SQL: loads the user, but only of a request that brings a cookie with our signature.
    """
    if not has_cookie(request):
        return None
    look = _read(request.COOKIES[app_settings().tester_cookie])
    if look is None or look.until <= now_in_microseconds():
        return None
    try:
        user = request.user
        holds = user.is_active and getattr(user, "is_staff", False)
        return look if holds and str(user.pk) == look.user_key else None
    except DatabaseError as error:
        message = "Whether a tester is staff could not be read: %s"
        report(logger, "tester_unreadable", message, type(error).__name__)
        return None


def new_look(user: Model, flags: Mapping[str, JSONValue]) -> Look:
    """A look that begins now."""
    until = now_in_microseconds() + app_settings().tester_seconds * MICROSECONDS_PER_SECOND
    return Look(user_key=str(user.pk), flags=dict(flags), until=until)


def start(response: HttpResponseBase, look: Look) -> None:
    """Set the cookie. Raises LookTooLong if it would be none."""
    document = {"user": look.user_key, "flags": dict(look.flags), "until": look.until}
    text = signing.dumps(document, salt=SALT, compress=True)
    if len(text) > LONGEST:
        raise LookTooLong
    response.set_cookie(
        app_settings().tester_cookie,
        text,
        max_age=app_settings().tester_seconds,
        httponly=True,
        **cookie_options(),
    )


def end(response: HttpResponseBase) -> None:
    """Take the cookie away."""
    options = cookie_options()
    response.delete_cookie(
        app_settings().tester_cookie,
        path=options["path"],
        domain=options["domain"],
        samesite=options["samesite"],
    )


@contextmanager
def seeing(look: Look | None) -> Iterator[None]:
    """Let the flags of the user who set the look have its values, and those of nobody else."""
    if look is None:
        yield
        return
    with override_for(look.user_key, look.flags):
        yield


def finish(request: HttpRequest, response: HttpResponseBase, look: Look) -> None:
    """Say on the page that it is not what others see, and keep it out of every cache."""
    add_never_cache_headers(response)
    patch_vary_headers(response, ["Cookie"])
    if not isinstance(response, HttpResponse) or not _is_page(response):
        return
    banner = render_to_string(BANNER, {"look": look}, request).encode(response.charset)
    before, end_of_body, after = response.content.rpartition(END_OF_BODY)
    if end_of_body:
        response.content = before + banner + end_of_body + after
        if "Content-Length" in response.headers:
            response.headers["Content-Length"] = str(len(response.content))


def _is_page(response: HttpResponse) -> bool:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
    return kind == "text/html" and "Content-Encoding" not in response.headers


def _read(text: str) -> Look | None:
    """The look that we have signed; None for anything else."""
    try:
        document: Any = signing.loads(text, salt=SALT, max_age=app_settings().tester_seconds)
    except signing.BadSignature:
        return None
    return Look(user_key=document["user"], flags=document["flags"], until=document["until"])
