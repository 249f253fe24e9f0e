"""ASGI servers tell an application that they end; Django does not listen. This does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from featureflags.launchdarkly.client import close

Message: TypeAlias = Mapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Any, Receive, Send], Awaitable[None]]


def closing_at_shutdown(application: Application) -> Application:
    """The application, which closes LaunchDarkly's client when the server ends."""

    async def with_lifespan(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await application(scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(close)
        await send({"type": "lifespan.shutdown.complete"})

    return with_lifespan
