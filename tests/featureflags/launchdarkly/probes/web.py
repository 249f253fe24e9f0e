"""Two small applications that answer with a flag, under WSGI and ASGI.

With PROBE_EARLY the process that imports this uses its client at once, under load: what
`gunicorn --preload` makes of an application that asks for a flag too early.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from featureflags.launchdarkly.asgi_lifespan import closing_at_shutdown
from tests.featureflags.launchdarkly.probes import facade_value, loading, value

if os.environ.get("PROBE_EARLY"):
    value("counter", "master")
    loading()


def answer() -> bytes:
    pid = os.getpid()
    return json.dumps({"pid": pid, "value": value("counter", f"worker-{pid}")}).encode()


def wsgi(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    return [answer()]


def page(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """What the facade says, for the benchmark of flips."""
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(facade_value("counter")).encode()]


@closing_at_shutdown
async def asgi(_scope: Any, _receive: Any, send: Any) -> None:
    body = await asyncio.to_thread(answer)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
