"""How the REST API answers when something behind it fails: 503 with Retry-After, never 500."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import ValidationError
from django.db import InterfaceError, OperationalError
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.serializers import as_serializer_error
from rest_framework.views import exception_handler as rest_exception_handler

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = "5"


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's handler, and: a model's own validation is a 400, a database that is down a 503."""
    if isinstance(error, OperationalError | InterfaceError):
        logger.error("The API could not reach the database: %s", type(error).__name__)
        return Response(
            {"detail": "The database does not answer. Try again in a moment."},
            status=status.HTTP_503_SERVICE_UNAVAILABLE,
            headers={"Retry-After": RETRY_AFTER_SECONDS},
        )
    if isinstance(error, ValidationError):
        error = exceptions.ValidationError(as_serializer_error(error))
    return rest_exception_handler(error, context)
