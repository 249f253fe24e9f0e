"""The log's lines as data: which request and which user each belongs to, and nothing that is private.

JSON in production, colours in development (`LOG_FORMAT`). A line has the id of its request, which the
response carries as X-Request-ID, and the key of the user if the request has loaded one; no server is
asked for it. A text that looks like an e-mail address or a token is replaced, in every message.
"""

from __future__ import annotations

import logging
import re
import sys
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any, Final, cast

import structlog
from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from featureflags.core.types import REQUEST_ID

HEADER: Final = "X-Request-ID"
GIVEN: Final = re.compile(r"[A-Za-z0-9_.-]{8,64}")
"""An id that a proxy gave. Anything else is not taken: it ends in the log."""
EMAIL: Final = re.compile(
    r"(?:\"[^\"\n]{1,64}\"|[\w.!#$%'*+^`{|}~-]{1,64})(?:@|%40)"
    r"(?:[\w-]+(?:\.[\w-]+)+|\[[\w.:]+\])"
)
"""Also one whose @ is encoded, as in a path."""
TOKEN: Final = re.compile(r"\b(?:gdn_[a-z0-9]{12}_|sdk-|mob-|api-|whsec_)[A-Za-z0-9_+/=-]{16,}")
PASSWORD: Final = re.compile(r"(://[^\s/@:]*:)\S+@")
"""Of an address of a server, whatever signs it has: the last @ ends it."""
OF_A_ROW: Final = re.compile(
    r"(?:^|(?<=\n))(?:DETAIL|CONTEXT|LINE \d+):.*?(?=\n\nThe above exception|\n\nDuring handling|\Z)",
    re.DOTALL,
)
"""Where an error of PostgreSQL quotes a row, a parameter or the statement: names, metadata, anything."""

OF_A_VALUE: Final = re.compile(
    r"(invalid input (?:syntax|value) for [^:\n]+): .*?(?=\n(?:LINE \d+|CONTEXT|DETAIL):|\n\n|\Z)",
    re.DOTALL,
)

SyncResponse = Callable[[HttpRequest], HttpResponseBase]
AsyncResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

_work: ContextVar[tuple[str, HttpRequest | None] | None] = ContextVar("guidon_work", default=None)
"""The id of the request or task that this code runs for, and the request."""


@sync_and_async_middleware
def RequestLogMiddleware(  # noqa: N802 - Django's name for a middleware
    get_response: SyncResponse | AsyncResponse,
) -> SyncResponse | AsyncResponse:
    """Place it first, so that every line of a request has its id."""
    if iscoroutinefunction(get_response):

        async def middleware_async(request: HttpRequest) -> HttpResponseBase:
            name = _name(request)
            request.META[REQUEST_ID] = name
            reset = _work.set((name, request))
            try:
                response = await cast("AsyncResponse", get_response)(request)
            finally:
                _work.reset(reset)
            response.headers[HEADER] = name
            return response

        return middleware_async

    def middleware(request: HttpRequest) -> HttpResponseBase:
        name = _name(request)
        request.META[REQUEST_ID] = name
        reset = _work.set((name, request))
        try:
            response = cast("SyncResponse", get_response)(request)
        finally:
            _work.reset(reset)
        response.headers[HEADER] = name
        return response

    return middleware


def formatter(form: str) -> logging.Formatter:
    """What LOGGING names: lines as `json`, or else for people."""
    if form == "json":
        renderer: Any = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            add_origin,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            hide_private,
            renderer,
        ],
    )


def begin_task(task_id: str) -> None:
    """From now on this thread works for a task."""
    _work.set((task_id, None))


def add_origin(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A processor of structlog: whose line it is."""
    found = _work.get()
    if found is not None:
        name, request = found
        line["request_id" if request is not None else "task_id"] = name
        # Django's name for the user that is loaded. The lazy `request.user` would ask the database.
        user = getattr(request, "_cached_user", None)
        if user is not None and user.is_authenticated:
            line["user_key"] = str(user.pk)
    return line


def hide_private(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A processor of structlog, after the traceback is text: no address and no token."""
    for name, value in line.items():
        if isinstance(value, str):
            line[name] = without_private(value)
    return line


def without_private(text: str) -> str:
    """The text without addresses and tokens, and without what an error of PostgreSQL quotes."""
    if "invalid input " in text:
        text = OF_A_VALUE.sub(r"\1: [value]", text)
    if ": " in text and ("DETAIL:" in text or "CONTEXT:" in text or "LINE " in text):
        text = OF_A_ROW.sub("[values]", text)
    if "@" in text and "://" in text:
        text = PASSWORD.sub(r"\1[password]@", text)
    if "@" in text or "%40" in text:
        text = EMAIL.sub("[e-mail]", text)
    return TOKEN.sub("[token]", text) if "-" in text or "_" in text else text


def _name(request: HttpRequest) -> str:
    given = request.headers.get(HEADER, "")
    return given if GIVEN.fullmatch(given) else uuid.uuid4().hex
