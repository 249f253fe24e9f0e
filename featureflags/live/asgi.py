"""Serves the streams of a process, beside Django, with nothing but the event loop.

    GET /guidon/events?ticket=…
    retry: 2400
    data: {"type": "refetchEvaluation"}      the first one comes at once

A stream ends when its client leaves, when it does not read for `SEND_SECONDS`, when its API key is active no
more (before the next message or heartbeat), after about ten minutes (a browser connects again, and its ticket
is looked at again), and when the server ends.
"""

from __future__ import annotations

import asyncio
import random
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs

from django.db import DatabaseError, connections
from django.utils import timezone

from featureflags.core.deadlines import Purpose, within
from featureflags.core.outages import RETRY_AFTER
from featureflags.live.hub import Stream, TooManyStreams, hub
from featureflags.live.tickets import PATH, Ticket, read_ticket, serve
from featureflags.models import ApiKey

Message: TypeAlias = Mapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Any, Receive, Send], Awaitable[None]]

HEARTBEAT_SECONDS: Final = 15.0
SEND_SECONDS: Final = 30.0
LIFE_SECONDS: Final = 600.0
REFETCH: Final = b'data: {"type": "refetchEvaluation"}\n\n'
HEARTBEAT: Final = b":\n\n"
KEY_SECONDS: Final = 5.0
"""How long a process remembers that an API key is active."""
HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    # The ticket is the permission: cookies are not looked at.
    (b"access-control-allow-origin", b"*"),
)


def with_streams(application: Application) -> Application:
    """The application, with streams at `PATH`. HTTP for other paths, and all else, is passed on."""
    serve()

    async def with_events(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == f"{scope.get('root_path', '')}{PATH}":
            await _answer(scope, receive, send)
        else:
            await application(scope, receive, send)

    return with_events


async def _answer(scope: Any, receive: Receive, send: Send) -> None:
    query = parse_qs(scope["query_string"].decode("latin-1"))
    ticket = read_ticket(query.get("ticket", [""])[0])
    if scope["method"] != "GET" or ticket is None:
        await _refuse(send, 405 if scope["method"] != "GET" else 403)
        return
    stream = Stream(who=ticket.who, keys=frozenset(ticket.keys), loop=asyncio.get_running_loop())
    try:
        if not await asyncio.to_thread(_admit, ticket, stream):
            await _refuse(send, 403)
            return
        _end_with_the_server()
        # What the client shows may be older than what changes are compared with.
        stream.changed.set()
        await _serve(stream, ticket, receive, send)
    except (TooManyStreams, DatabaseError):
        await _refuse(send, 503)
    finally:
        hub().close(stream)


def _admit(ticket: Ticket, stream: Stream) -> bool:
    """Open the stream; False: its API key is not active."""
    try:
        with within(Purpose.PAGE):
            if ticket.api_key is not None and not _is_active(ticket.api_key):
                return False
        hub().open(stream)
        return True
    finally:
        connections.close_all()


_active: dict[int, float] = {}


def _is_known(pk: int) -> bool:
    return time.monotonic() - _active.get(pk, float("-inf")) < KEY_SECONDS


def _is_active(pk: int) -> bool:
    if _is_known(pk):
        return True
    row = ApiKey.objects.filter(pk=pk, is_active=True).first()
    if row is None or row.as_service_key().has_expired(timezone.now()):
        _active.pop(pk, None)
        return False
    _active[pk] = time.monotonic()
    return True


async def _is_allowed(ticket: Ticket) -> bool:
    """False once its API key is revoked or has expired. While no database can say, the stream stays."""
    pk = ticket.api_key
    if pk is None or _is_known(pk):
        return True
    try:
        return await asyncio.to_thread(_look_again, pk)
    except DatabaseError:
        return True


def _look_again(pk: int) -> bool:
    try:
        with within(Purpose.PAGE):
            return _is_active(pk)
    finally:
        connections.close_all()


async def _serve(stream: Stream, ticket: Ticket, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
    # Each at another moment, so that not all come at once after a restart.
    await _write(send, f"retry: {random.randint(1000, 5000)}\n\n".encode())  # noqa: S311 - no secret
    ends = time.monotonic() + LIFE_SECONDS * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
    left = asyncio.ensure_future(_disconnected(receive))
    try:
        while not left.done() and not hub().is_ending and time.monotonic() < ends:
            woken = asyncio.ensure_future(stream.changed.wait())
            await asyncio.wait(
                (left, woken), timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            woken.cancel()
            if left.done() or hub().is_ending:
                break
            if not await _is_allowed(ticket):
                await _write(send, b"", more=False)
                return
            is_news = stream.changed.is_set()
            stream.changed.clear()
            await _write(send, REFETCH if is_news else HEARTBEAT)
        if not left.done():
            await _write(send, b"", more=False)
    except (TimeoutError, OSError):
        return  # the client does not read, or is gone
    finally:
        left.cancel()


async def _write(send: Send, body: bytes, *, more: bool = True) -> None:
    """Raises TimeoutError if the client does not read."""
    message = {"type": "http.response.body", "body": body, "more_body": more}
    await asyncio.wait_for(send(message), SEND_SECONDS)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refuse(send: Send, status: int) -> None:
    headers = [(b"content-length", b"0"), (b"cache-control", b"no-store"), HEADERS[-1]]
    if status == 503:
        headers.append((b"retry-after", RETRY_AFTER.encode()))
    if status == 405:
        headers.append((b"allow", b"GET"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


_chained: list[bool] = []


def _end_with_the_server() -> None:
    """A server waits for its open connections before it says that it ends: hear of it by its signal."""
    if _chained or threading.current_thread() is not threading.main_thread():
        return
    _chained.append(True)
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)
        if callable(before):
            signal.signal(number, _after(before))


def _after(before: Callable[[int, Any], Any]) -> Callable[[int, Any], None]:
    def ending(number: int, frame: Any) -> None:
        hub().end()
        before(number, frame)

    return ending
