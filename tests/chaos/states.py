"""What may happen to a server, and how it ends: each state is a context manager over a site."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import psycopg

from tests.chaos import refusals
from tests.chaos.harsh import (
    EmbeddedSite,
    HarshSite,
    embedded_site,
    harsh_site,
    may_mount,
)
from tests.chaos.site import ServedSite, Site, running_site
from tests.services.guarded import GuardedServer

Where = TypeVar("Where", bound=Site)


@contextmanager
def _frozen(server: GuardedServer) -> Iterator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


@contextmanager
def _killed(server: GuardedServer) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def _both(one: AbstractContextManager[None], other: AbstractContextManager[None]) -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(one)
        stack.enter_context(other)
        yield


@contextmanager
def _locked(site: ServedSite) -> Iterator[None]:
    """The table of users, as a migration would lock it."""
    with psycopg.connect(site.postgres.url) as other:
        other.execute("LOCK TABLE users_user IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def _exhausted(site: ServedSite) -> Iterator[None]:
    """Every connection of PostgreSQL is taken, and those of the site are cut."""
    with psycopg.connect(site.postgres.url, autocommit=True) as other, ExitStack() as taken:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        try:
            while True:
                taken.enter_context(psycopg.connect(site.postgres.url))
        except psycopg.OperationalError:
            yield


@contextmanager
def _launchdarkly_503(site: ServedSite) -> Iterator[None]:
    site.launchdarkly.answer(503)
    site.launchdarkly.drop_streams()
    try:
        yield
    finally:
        site.launchdarkly.recover()


@contextmanager
def _slow(site: HarshSite) -> Iterator[None]:
    """Each answer of PostgreSQL and Redis takes 0.16 s longer, and all connections are cut each second."""
    site.network.order("slow 0.08 1.0")
    try:
        yield
    finally:
        site.network.order("calm")


@contextmanager
def _clock(site: HarshSite, offset: str) -> Iterator[None]:
    """The clock of the web server is moved; those of the servers and of the caller are not."""
    site.set_clock(offset)
    try:
        yield
    finally:
        site.set_clock("+0")


@contextmanager
def _no_names(site: HarshSite) -> Iterator[None]:
    """No name server answers, and LaunchDarkly's streams have just ended."""
    site.resolver_gone.touch()
    site.launchdarkly.drop_streams()
    try:
        yield
    finally:
        site.resolver_gone.unlink()


@contextmanager
def _disk_full(site: EmbeddedSite) -> Iterator[None]:
    """The disk of the database and of the cache has no byte left."""
    filler = site.disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    try:
        yield
    finally:
        filler.unlink()


@dataclass(frozen=True, slots=True, kw_only=True)
class State(Generic[Where]):
    name: str
    begin: Callable[[Where], AbstractContextManager[None]]
    is_short: bool = False
    """Part of the short form, which `make test` runs."""
    why_not: str = ""
    """Why it cannot be brought about on this machine; empty if it can."""


SERVED: tuple[State[ServedSite], ...] = (
    State(name="PostgreSQL killed", begin=lambda site: _killed(site.postgres), is_short=True),
    State(name="PostgreSQL frozen", begin=lambda site: _frozen(site.postgres), is_short=True),
    State(name="users_user locked", begin=_locked),
    State(name="connections exhausted", begin=_exhausted),
    State(name="Redis killed", begin=lambda site: _killed(site.cache), is_short=True),
    State(name="Redis frozen", begin=lambda site: _frozen(site.cache), is_short=True),
    State(
        name="both killed",
        begin=lambda site: _both(_killed(site.postgres), _killed(site.cache)),
    ),
    State(
        name="both frozen",
        begin=lambda site: _both(_frozen(site.postgres), _frozen(site.cache)),
        is_short=True,
    ),
    State(name="broker frozen", begin=lambda site: _frozen(site.broker)),
    State(name="LaunchDarkly 503", begin=_launchdarkly_503),
    *(State(name=name, begin=begin) for name, begin in refusals.SERVED.items()),
)

HARSH: tuple[State[HarshSite], ...] = (
    State(name="slow network", begin=_slow, is_short=True),
    State(name="clock an hour ahead", begin=partial(_clock, offset="+3600"), is_short=True),
    State(name="clock an hour behind", begin=partial(_clock, offset="-3600")),
    State(name="no DNS for LaunchDarkly", begin=_no_names, is_short=True),
)
NO_DISK = "" if may_mount() else "needs root, to mount a small disk"
EMBEDDED: tuple[State[EmbeddedSite], ...] = (
    State(
        name="disk full, embedded",
        begin=_disk_full,
        is_short=True,
        why_not=NO_DISK,
    ),
    State(
        name="another writer, embedded",
        begin=refusals.another_writer,
        is_short=True,
        why_not=NO_DISK,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Generic[Where]):
    """States of one site."""

    site: Callable[[], AbstractContextManager[Where]]
    states: tuple[State[Where], ...]


SERVED_GROUP = Group(site=running_site, states=SERVED)
HARSH_GROUP = Group(site=harsh_site, states=HARSH)
EMBEDDED_GROUP = Group(site=embedded_site, states=EMBEDDED)


def all_states() -> list[State[Any]]:
    """Every state of every site."""
    return [*SERVED, *HARSH, *EMBEDDED]
