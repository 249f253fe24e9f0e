"""What a person or a program is answered where no view answers.

    handler400 = "featureflags.unavailable.handler400"
    handler500 = "featureflags.unavailable.handler500"

While the database is away: a page in words with status 503, never 500. It is the project's `503.html`, or the
one of this app. An address of the API answers in the API's own form, also what a middleware refuses.
"""

from __future__ import annotations

import logging
import sys
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.deprecation import MiddlewareMixin
from django.views.defaults import bad_request, server_error

from featureflags.core.database import is_away
from featureflags.core.monitoring import report
from featureflags.core.outages import RETRY_AFTER
from featureflags.core.requests import api_view

logger = logging.getLogger(__name__)


TEMPLATES = ("503.html", "featureflags/503.html")
AWAY: Final = "The database does not answer, or takes no writes. Try again in a moment."
REFUSED: Final = "The request cannot be read: its host, its address or its parameters."
FAILED: Final = "The service failed. The log has the id of this request."


class UnavailableMiddleware(MiddlewareMixin):
    """Answers what a view raises while the database is away."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return unavailable(request) if is_away(error) else None


def unavailable(request: HttpRequest) -> HttpResponse:
    """The page, or the API's answer. Asks no server."""
    error = sys.exc_info()[1]
    name = type(error).__name__
    report(logger, "page_unavailable", "A page could not reach the database: %s", name)
    answer = _of_the_api(request, 503, AWAY) or HttpResponse(
        render_to_string(TEMPLATES), status=503
    )
    answer.headers["Retry-After"] = RETRY_AFTER
    return answer


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler of what a middleware refuses: a host, or too many parameters."""
    return _of_the_api(request, 400, REFUSED) or bad_request(request, exception)


def handler500(request: HttpRequest) -> HttpResponse:
    """Django's handler of what is raised: the page above where the database is why."""
    if is_away(sys.exc_info()[1]):
        return unavailable(request)
    return _of_the_api(request, 500, FAILED) or server_error(request)


def _of_the_api(request: HttpRequest, status: int, detail: str) -> HttpResponse | None:
    view = api_view(request)
    refused: HttpResponse | None = view and view.refusal(request, status, detail)
    return refused
