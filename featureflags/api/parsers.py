"""How the REST API reads bodies: JSON in UTF-8 of a bounded size and depth, whose text can be stored.

A member that an object has twice is refused: another reader would take another one of the two. So is a
body in a `Content-Encoding`, which is not undone here. A body in chunks is read like any other.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any, Final

from django.conf import settings
from django.http import HttpRequest
from rest_framework import exceptions, parsers, status
from rest_framework.permissions import SAFE_METHODS
from rest_framework.utils.json import strict_constant

from featureflags.core.input_gate import is_storable

ROOT: Final = "non_field_errors"
NOT_STORABLE: Final = "NUL and halves of surrogate pairs are no characters."
NOT_A_NUMBER: Final = "This number is too large."


class BodyTooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is too large."
    default_code = "body_too_large"


def prepare_body(request: HttpRequest) -> None:
    """Make a body readable that came in chunks: without a length, REST framework takes it for empty.

    Raises UnsupportedMediaType for a `Content-Encoding`, BodyTooLarge, and ParseError where the server does not
    say where such a body ends.
    """
    meta = request.META
    if request.method in SAFE_METHODS:
        return
    encoding = meta.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding not in {"", "identity"}:
        words = "Send the body without a Content-Encoding."
        raise exceptions.UnsupportedMediaType(encoding, words)
    if meta.get("CONTENT_LENGTH"):
        return
    inner: Any = request
    source = _source(meta) or inner._stream  # noqa: SLF001 - Django has no public name for it
    try:
        body = read_body(source)
    except BodyTooLarge:
        raise
    except Exception:  # noqa: BLE001 - each WSGI server has its own error for broken chunks
        raise exceptions.ParseError("The body cannot be read, or ended too early.") from None
    inner._stream = BytesIO(body)  # noqa: SLF001 - as above
    meta["CONTENT_LENGTH"] = str(len(body))


def _source(meta: Mapping[str, Any]) -> IO[bytes] | None:
    """Where the server of WSGI gives a body without a length; None under ASGI, where Django has it already."""
    if "wsgi.input" not in meta:
        return None
    if meta.get("wsgi.input_terminated"):
        source: IO[bytes] = meta["wsgi.input"]
        return source
    if "HTTP_TRANSFER_ENCODING" in meta:
        raise exceptions.ParseError("This server reads no body in chunks: send Content-Length.")
    return BytesIO()


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
        media_type: str | None = None,  # noqa: ARG002 - DRF's
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002 - DRF's
    ) -> Any:
        """The JSON of a body, which is in UTF-8 whatever its `Content-Type` says (RFC 8259).

        Raises ParseError, also for JSON that is nested too deeply to read, and ValidationError for what no
        database stores.
        """
        body = read_body(stream)
        try:
            text = body.decode()
            data = json.loads(text, parse_constant=strict_constant, object_pairs_hook=_object)
        except (RecursionError, UnicodeDecodeError):
            raise exceptions.ParseError("The JSON is nested too deeply, or not in UTF-8.") from None
        except ValueError as error:
            raise exceptions.ParseError(f"JSON parse error - {error}") from None
        require_storable(data)
        return data


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in members:
        if name in found:
            raise ValueError(f"an object has the member {name!a} twice")
        found[name] = value
    return found


def require_storable(data: Any) -> None:
    """Raises ValidationError, by the member of the object, for a text with NUL or a lone surrogate, and for
    a number beyond a double.

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
        elif isinstance(value, float) and math.isinf(value):
            raise exceptions.ValidationError({name if is_storable(name) else ROOT: [NOT_A_NUMBER]})
