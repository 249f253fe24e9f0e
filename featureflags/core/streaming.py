"""Answers that are sent while they are made, in bounded memory, under WSGI and ASGI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TypeVar

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

Chunk = TypeVar("Chunk", str, bytes)


def streamed(
    request: HttpRequest, chunks: Iterator[Chunk], content_type: str
) -> StreamingHttpResponse:
    """The response of these chunks, which are made as it is sent."""
    content = _later(chunks) if isinstance(request, ASGIRequest) else chunks
    return StreamingHttpResponse(content, content_type=content_type)


async def _later(chunks: Iterator[Chunk]) -> AsyncIterator[Chunk]:
    """The same chunks, read outside the event loop. Django would read a plain iterator at once."""
    following = sync_to_async(lambda: next(chunks, None))
    while (chunk := await following()) is not None:
        yield chunk
