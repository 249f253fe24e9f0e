"""Errors as RFC 9457 has them: `application/problem+json`, with a `type` that never changes.

    {"type": "urn:guidon:problem:validation", "title": "The request is not valid.", "status": 400,
     "detail": "role: \"x\" is not a valid choice.", "errors": {"role": ["…"]}, "request_id": "…"}

`detail` is for people and may change. `errors` has the messages by field. An answer that asks for a
confirmation has its numbers and flags beside them; see `featureflags.api.concurrency`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

CONTENT_TYPE: Final = "application/problem+json"
URN: Final = "urn:guidon:problem:"

TITLES: Final[Mapping[str, str]] = {
    "validation": "The request is not valid.",
    "malformed": "The body cannot be read.",
    "unauthenticated": "The caller is not known.",
    "forbidden": "The caller may not do this.",
    "not-found": "There is nothing at this address.",
    "method-not-allowed": "The address does not take this method.",
    "not-acceptable": "The answer has no such form.",
    "conflict": "This conflicts with what is stored.",
    "confirmation-required": "Somebody must confirm this change.",
    "changed-meanwhile": "Somebody else has changed this.",
    "too-large": "The request is too large.",
    "over-limit": "The request is over a limit of this service.",
    "unsupported-media-type": "The body has a form that is not read.",
    "too-many-requests": "There are too many requests.",
    "unavailable": "A server does not answer.",
    "error": "The request failed.",
}
"""The last part of each `type`, and its title."""

BY_STATUS: Final[Mapping[int, str]] = {
    400: "validation",
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    409: "conflict",
    412: "changed-meanwhile",
    413: "too-large",
    415: "unsupported-media-type",
    422: "over-limit",
    429: "too-many-requests",
    503: "unavailable",
}


def problem(
    status: int, data: Any, *, code: str = "", request_id: str | None = None
) -> dict[str, Any]:
    """The body of an error. `data`: what REST framework answers; `code`: of its exception."""
    kind = "malformed" if code == "parse_error" else BY_STATUS.get(status, "error")
    known = dict(data) if isinstance(data, Mapping) and "detail" in data else {}
    if "confirm" in known:
        kind = "confirmation-required"
    elif "changed" in known:
        kind = "changed-meanwhile"
    body: dict[str, Any] = {"type": f"{URN}{kind}", "title": TITLES[kind], "status": status}
    if known:
        body |= {**known, "detail": str(known["detail"])}
    else:
        errors = data if isinstance(data, Mapping) else {"non_field_errors": data}
        body |= {"detail": _first(errors), "errors": errors}
    if request_id:
        body["request_id"] = request_id
    return body


def _first(errors: Mapping[str, Any]) -> str:
    """The first message, with its field."""
    for name, messages in errors.items():
        message: Any = messages
        while isinstance(message, list | Mapping) and message:
            message = next(iter(message.values() if isinstance(message, Mapping) else message))
        return str(message) if name == "non_field_errors" else f"{name}: {message}"
    return TITLES["validation"]
