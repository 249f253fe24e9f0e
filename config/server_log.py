"""The log of gunicorn, and of uvicorn within it: lines as data, without a query and without anything private.

A path may hold what somebody typed, such as an address, and a query what they searched for or the ticket of a
stream. So a line of a request has the path alone, with addresses and tokens replaced, and no client.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from config.request_log import formatter, without_private

REQUEST_ID: Final = "{x-request-id}o"


class RequestLine(logging.Formatter):
    """One request as JSON, from what gunicorn or uvicorn says of it."""

    def format(self, record: logging.LogRecord) -> str:
        found = record.args
        if isinstance(found, Mapping):
            return _line(**_of_gunicorn(found))
        if isinstance(found, tuple) and len(found) == 5:
            _client, method, path, _version, status = found
            shown = unquote(str(path).partition("?")[0])
            return _line(method=str(method), path=shown, status=status)
        return without_private(super().format(record))


def _of_gunicorn(atoms: Mapping[str, Any]) -> dict[str, Any]:
    # Atoms are escaped for a text between quotes, and a path has one character for each byte.
    path = str(atoms["U"]).replace('\\"', '"').encode("latin-1", "replace")
    return {
        "method": atoms["m"],
        "path": path.decode(errors="replace"),
        "status": atoms["s"],
        "seconds": float(atoms["L"]),
        "request_id": atoms[REQUEST_ID],
    }


def _line(*, method: str, path: str, status: Any, **more: Any) -> str:
    shown = {"event": "request", "method": method, "path": without_private(path)}
    return json.dumps({**shown, "status": int(status), **more}, ensure_ascii=False)


REQUESTS: Final = ("gunicorn.access", "uvicorn.access")
SERVERS: Final = ("gunicorn.error", "uvicorn.error", "uvicorn")


def use() -> None:
    """Have the server around this application write its lines so. Under any other server: nothing."""
    for name in REQUESTS:
        for handler in logging.getLogger(name).handlers:
            handler.setFormatter(RequestLine())
    for name in SERVERS:
        for handler in logging.getLogger(name).handlers:
            handler.setFormatter(formatter(os.environ.get("LOG_FORMAT") or "json"))
