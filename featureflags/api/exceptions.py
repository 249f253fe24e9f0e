"""How the REST API answers when something behind it refuses or fails.

A model's own validation is 400, a protected row or a row that changed meanwhile 409, a database
that is down 503 with Retry-After. None of them is a 500.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, RequestDataTooBig, ValidationError
from django.db import IntegrityError
from django.db.models import ProtectedError
from django.http import UnreadablePostError
from rest_framework import exceptions, status
from rest_framework.fields import get_error_detail
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler as rest_exception_handler

from featureflags.api.parsers import BodyTooLarge
from featureflags.api.problems import CONTENT_TYPE, problem
from featureflags.core.database import is_away
from featureflags.core.outages import RETRY_AFTER
from featureflags.core.types import REQUEST_ID
from featureflags.models import StaleSegment
from featureflags.models.limits import OVER_LIMIT

logger = logging.getLogger(__name__)


class OverLimit(exceptions.ValidationError):
    """What was sent is valid by itself, and more than the settings allow."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY


class PlannedInstead(Exception):
    """The change is proposed or scheduled, and not made. `body`: the JSON of the answer (202)."""

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.body = body


class Conflict(exceptions.APIException):
    status_code = status.HTTP_409_CONFLICT
    default_detail = "This conflicts with what is stored."
    default_code = "conflict"


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """The answer to what is raised in a view of the API: a problem; see `featureflags.api.problems`."""
    response = _answer(error, context)
    if response is None:
        return None
    request = context.get("request")
    response.data = problem(
        response.status_code,
        response.data,
        code=getattr(error, "default_code", ""),
        request_id=None if request is None else request.META.get(REQUEST_ID),
    )
    response.content_type = CONTENT_TYPE
    return response


def _answer(error: Exception, context: dict[str, Any]) -> Response | None:
    if is_away(error):
        logger.error("The API could not reach the database: %s", type(error).__name__)
        return Response(
            {"detail": "The database does not answer, or takes no writes. Try again in a moment."},
            status=status.HTTP_503_SERVICE_UNAVAILABLE,
            headers={"Retry-After": RETRY_AFTER},
        )
    return rest_exception_handler(_as_api_error(_of_the_body(error)), context)


def _of_the_body(error: Exception) -> Exception:
    """What Django raises while a body is read, as an error of the API."""
    if isinstance(error, RequestDataTooBig):
        return BodyTooLarge()
    if isinstance(error, UnreadablePostError):
        return exceptions.ParseError("The body ended too early.")
    return error


def _as_api_error(error: Exception) -> Exception:
    if isinstance(error, StaleSegment):
        return Conflict(error.messages[0])
    if isinstance(error, ValidationError):
        detail = _validation_detail(error)
        is_over = any(one.code in OVER_LIMIT for one in _leaves(error))
        return OverLimit(detail) if is_over else exceptions.ValidationError(detail)
    if isinstance(error, ProtectedError):
        return Conflict(str(error.args[0]))
    if isinstance(error, IntegrityError):
        # Somebody else wrote after the validation, and won.
        logger.warning("A write of the API met a constraint: %s", type(error).__name__)
        return Conflict("Somebody changed this in the meantime. Look again.")
    return error


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    """The single errors of an error."""
    if hasattr(error, "error_dict"):
        for errors in error.error_dict.values():
            yield from errors
    else:
        yield from error.error_list


def _validation_detail(error: ValidationError) -> dict[str, Any]:
    """Messages by field; those of no field under DRF's name for them."""
    detail: Any = get_error_detail(error)
    if isinstance(detail, list):
        detail = {NON_FIELD_ERRORS: detail}
    if NON_FIELD_ERRORS in detail:
        detail[api_settings.NON_FIELD_ERRORS_KEY] = detail.pop(NON_FIELD_ERRORS)
    return dict(detail)
