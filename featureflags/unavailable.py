"""A page in words where the database does not answer: status 503, never 500.

The page is the project's `503.html`, or the one of this app.
"""

from __future__ import annotations

import logging
import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.deprecation import MiddlewareMixin
from django.views.defaults import server_error

from featureflags.core.monitoring import report
from featureflags.core.outages import RETRY_AFTER

logger = logging.getLogger(__name__)


TEMPLATES = ("503.html", "featureflags/503.html")


class UnavailableMiddleware(MiddlewareMixin):
    """Answers what a view raises while the database is away."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return (
            unavailable(request) if isinstance(error, OperationalError | InterfaceError) else None
        )


def unavailable(_request: HttpRequest) -> HttpResponse:
    """The page. Its template asks no server."""
    error = sys.exc_info()[1]
    name = type(error).__name__
    report(logger, "page_unavailable", "A page could not reach the database: %s", name)
    return HttpResponse(
        render_to_string(TEMPLATES), status=503, headers={"Retry-After": RETRY_AFTER}
    )


def handler500(request: HttpRequest) -> HttpResponse:
    """Django's handler of what a middleware raises: the same page where the database is why."""
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        return unavailable(request)
    return server_error(request)
