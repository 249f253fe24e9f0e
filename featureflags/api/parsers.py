"""How the REST API reads bodies: JSON of a bounded size, depth and text that can be stored."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any, Final

from django.conf import settings
from rest_framework import exceptions, parsers, status

from featureflags.core.input_gate import is_storable

ROOT: Final = "non_field_errors"
NOT_STORABLE: Final = "NUL and halves of surrogate pairs are no characters."


class BodyTooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is too large."
    default_code = "body_too_large"


def read_body(stream: IO[Any]) -> bytes:
    """A body of at most DATA_UPLOAD_MAX_MEMORY_SIZE, which DRF does not look at. Raises BodyTooLarge."""
    most: int | None = getattr(settings, "DATA_UPLOAD_MAX_MEMORY_SIZE", None)
    body: bytes = stream.read() if most is None else stream.read(most + 1)
    if most is not None and len(body) > most:
        raise BodyTooLarge
    return body


class CSVParser(parsers.BaseParser):
    """A list as people export it. The view reads it."""

    media_type = "text/csv"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002 - DRF's
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002 - DRF's
    ) -> dict[str, bytes]:
        """The body as it is, as `csv`."""
        return {"csv": read_body(stream)}


class JSONParser(parsers.JSONParser):
    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """As DRF's. 400 for JSON that is nested too deeply to read, and for text that no database stores."""
        body = read_body(stream)
        try:
            data = super().parse(BytesIO(body), media_type, parser_context)
        except (RecursionError, UnicodeDecodeError):
            raise exceptions.ParseError("The JSON is nested too deeply, or not in UTF-8.") from None
        require_storable(data)
        return data


def require_storable(data: Any) -> None:
    """Raises ValidationError, by the member of the object, for a text with NUL or a lone surrogate.

    The model looks at `rules`: it names the rule and the condition.
    """
    pending = [(ROOT, data)]
    if isinstance(data, dict):
        pending = [(name, value) for name, value in data.items() if name != "rules"]
    if isinstance(data, dict):
        pending += [(ROOT, name) for name in data]
    while pending:
        name, value = pending.pop()
        if isinstance(value, dict):
            pending += [(name, each) for each in (*value, *value.values())]
        elif isinstance(value, list):
            pending += [(name, each) for each in value]
        elif isinstance(value, str) and not is_storable(value):
            raise exceptions.ValidationError({name if is_storable(name) else ROOT: [NOT_STORABLE]})
