"""Takes the `charset` out of what a request says of its body: all texts here are UTF-8.

Django looks the codec up while it makes the request, before any view or middleware. Python has codecs for
other things than text (`rot13`, `zlib`): with one of them, and parameters in the address, Django fails with a 500.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeAlias

CHARSET: Final = re.compile(r';\s*charset\s*=\s*(?:"[^"]*"|[^;]*)', re.IGNORECASE)

Wsgi: TypeAlias = Callable[[dict[str, Any], Any], Iterable[bytes]]
Asgi: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]


def wsgi_in_utf_8(application: Wsgi) -> Wsgi:
    """The application, which sees no `charset`."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if "CONTENT_TYPE" in environ:
            environ["CONTENT_TYPE"] = CHARSET.sub("", environ["CONTENT_TYPE"])
        return application(environ, start_response)

    return answer


def asgi_in_utf_8(application: Asgi) -> Asgi:
    """The same for ASGI."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope = {**scope, "headers": [_without(*header) for header in scope["headers"]]}
        await application(scope, receive, send)

    return answer


def _without(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    if name.lower() == b"content-type":
        value = CHARSET.sub("", value.decode("latin-1")).encode("latin-1")
    return name, value
