"""Query parameters: a wrong or missing one is a problem of that name, and is never ignored."""

from __future__ import annotations

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request


def required_parameter(request: Request, name: str) -> str:
    """The text of a parameter. Raises ValidationError where it is missing or empty."""
    value = request.query_params.get(name, "")
    if not value:
        raise ValidationError({name: ["Send this parameter."]})
    return value


def true_or_false(request: Request, name: str) -> bool | None:
    """None: it was not sent. Raises ValidationError for anything but `true` and `false`."""
    value = request.query_params.get(name)
    if value not in {None, "true", "false"}:
        raise ValidationError({name: ["Send true or false."]})
    return None if value is None else value == "true"
