"""Requests at a steady rate over every surface, each with its status, time and answer.

Open loop: a request is sent when it is due, whether the one before was answered or not. So a site that
hangs is measured by those who would have come, not by those who got through.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.chaos.site import FLAG, Site
from tests.services.guarded import HOST

CLIENTS = 64
TIMEOUT_SECONDS = 35.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """One thing that is asked again and again, and what is right."""

    name: str
    path: str
    account: str = ""
    by: str = ""
    """`session` or `key`; empty for a visitor."""
    about: str = ""
    """The account that a program asks about, by OFREP."""
    evaluates: bool = False
    """It answers flags: the short bound holds."""
    value: bool | None = None
    """The right value of FLAG, where the answer is JSON and has it."""
    statuses: frozenset[int] = frozenset({200})
    """What may be answered in any state."""


def surfaces() -> list[Surface]:
    """What the load asks, in turn."""
    maybe = frozenset({200, 503})
    return [
        Surface(name="home, visitor", path="/", evaluates=True),
        Surface(name="home, session", path="/", account="ada", by="session", evaluates=True),
        Surface(name="flags, visitor", path="/api/v1/flags/", evaluates=True, value=False),
        Surface(
            name="flags, session",
            path="/api/v1/flags/",
            account="ada",
            by="session",
            evaluates=True,
            value=True,
        ),
        Surface(
            name="one flag, session",
            path=f"/api/v1/flags/{FLAG}/",
            account="ada",
            by="session",
            evaluates=True,
            value=True,
        ),
        Surface(
            name="one flag, key",
            path=f"/api/v1/flags/{FLAG}/",
            account="ada",
            by="key",
            evaluates=True,
            value=True,
            statuses=maybe,
        ),
        Surface(
            name="one flag, program",
            path=f"/ofrep/v1/evaluate/flags/{FLAG}",
            account="program",
            by="key",
            about="ada",
            evaluates=True,
            value=True,
        ),
        Surface(name="healthz", path="/healthz", evaluates=True),
        Surface(name="readyz", path="/readyz", statuses=maybe),
        Surface(
            name="admin, session",
            path="/admin/featureflags/segment/",
            account="root",
            by="session",
            statuses=maybe,
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One request. `status` 0: no answer."""

    surface: str
    at: float
    """Seconds since the load began."""
    seconds: float
    status: int
    value: bool | None = None
    degraded: tuple[str, ...] = ()
    body: str = ""


class Load:
    """The load on one site; a context manager: it goes on until the end of the block."""

    def __init__(self, site: Site, rate: float) -> None:
        self._site = site
        self._pause = 1 / rate
        self._ending = threading.Event()
        self._pending: list[Future[Sample]] = []
        self.samples: list[Sample] = []
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._pool = ThreadPoolExecutor(CLIENTS)

    def now(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self._began

    def finished(self) -> list[Sample]:
        """The requests that were answered until now, in the order in which they were due."""
        return [future.result() for future in list(self._pending) if future.done()]

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self.samples = [future.result() for future in self._pending]
        self._pool.shutdown()

    def _run(self) -> None:
        asked = surfaces()
        number = 0
        while not self._ending.is_set():
            due = self._began + number * self._pause
            self._ending.wait(max(0.0, due - time.monotonic()))
            surface = asked[number % len(asked)]
            self._pending.append(self._pool.submit(self._ask, surface, due - self._began))
            number += 1

    def _ask(self, surface: Surface, at: float) -> Sample:
        return ask(self._site, surface, at, self._began)


def ask(site: Site, surface: Surface, at: float = 0.0, began: float | None = None) -> Sample:
    """One request, timed from when it was due (`began` + `at`) until its last byte."""
    due = time.monotonic() if began is None else began + at
    connection = http.client.HTTPConnection(HOST, site.web.port, timeout=TIMEOUT_SECONDS)
    try:
        body = _body(site, surface)
        method = "POST" if body else "GET"
        connection.request(method, surface.path, body, headers=_headers(site, surface))
        response = connection.getresponse()
        body, status = response.read().decode(errors="replace"), response.status
    except (OSError, http.client.HTTPException):
        body, status = "", 0
    finally:
        connection.close()
    value, degraded = _answer(body) if surface.value is not None and status == 200 else (None, ())
    return Sample(
        surface=surface.name,
        at=at,
        seconds=time.monotonic() - due,
        status=status,
        value=value,
        degraded=degraded,
        body=body if not surface.value else "",
    )


def _body(site: Site, surface: Surface) -> str | None:
    if not surface.about:
        return None
    return json.dumps({"context": {"targetingKey": site.accounts[surface.about].key}})


def _headers(site: Site, surface: Surface) -> Mapping[str, str]:
    if not surface.by:
        return {}
    account = site.accounts[surface.account]
    by: dict[str, Callable[[], dict[str, str]]] = {
        "session": lambda: {"Cookie": f"sessionid={account.session}"},
        "key": lambda: {
            "Authorization": f"Bearer {account.token}",
            "Content-Type": "application/json",
        },
    }
    return by[surface.by]()


def _answer(body: str) -> tuple[bool | None, tuple[str, ...]]:
    document: dict[str, Any] = json.loads(body)
    if "reason" in document and "metadata" in document:
        said = document["metadata"].get("degraded", "")
        return document["value"], tuple(said.split(", ") if said else ())
    found = document.get("results", [document])
    mine = next((item for item in found if item["flag"] == FLAG), None)
    return (None, ()) if mine is None else (mine["value"], tuple(mine["degraded"]))
